"""Which values of a program are stored, and what is computed where it is used.

Nodes are gone through from the results backwards. A value is computed inside of the statement that reads it if it is
read by no other, and would there be computed no more often than it has entries; what is cheap is computed anew
wherever it is read. All else is stored by a statement of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.chunks import chunked
from tpc.backends.llvm.fusion.collapse import collapsed
from tpc.backends.llvm.fusion.contraction import contraction
from tpc.backends.llvm.fusion.fast import with_reciprocals
from tpc.backends.llvm.fusion.meaning import Meaning
from tpc.backends.llvm.fusion.statement import Loop, Statement, computed, flops, times
from tpc.backends.llvm.fusion.terms import INSIDE, Term, changed, has_fold, load, parts
from tpc.backends.llvm.fusion.translation import canonical, number_or_size
from tpc.ir.dims import DimLike, divide_exactly
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import INPUT

CHEAP = 4  # flops of what is rather computed again than stored


def statements(program: Program, fast: bool = False) -> list[Statement]:
    """The statements that compute a program, in an order in which they can run; flat loads, canonical letters.

    `fast` allows what holds in exact arithmetic.

    Raises
    ------
    Untranslatable
        If a node has no native code.
    """
    stored: dict[Node, Statement] = {}
    order = [n for n in program.nodes if n.op is not INPUT and not isinstance(n.type, tuple)]
    for node in reversed(order):
        readers = [root for root, s in stored.items() if node in s.reads]
        if not readers and node not in program.outputs:
            continue  # its values are not needed after all
        statement = _statement(node)
        left = readers
        if not (node in program.outputs and has_fold(statement.body)):
            left = _substituted(node, statement, stored, readers, node in program.outputs)
        if left or node in program.outputs:
            stored[node] = statement
    ordered = [_finished(stored[n]) for n in order if n in stored]
    if fast:
        ordered = [with_reciprocals(s) for s in ordered]
    return [part for s in ordered for part in chunked(collapsed(s))]


def _statement(node: Node) -> Statement:
    value = number_or_size(node)
    if value is not None:
        return Statement(node, (), places.composed([], []), value)
    meaning = Meaning(node)
    return Statement(node, meaning.letters, meaning.place, meaning.at_letters())


def _substituted(
    node: Node, statement: Statement, stored: dict[Node, Statement], readers: Sequence[Node], kept: bool
) -> list[Node]:
    """Compute a node where it is read, as far as that is right; gives the readers that still load it."""
    cheap = not has_fold(statement.body) and flops(statement.body) <= CHEAP and len(statement.loads) <= 2
    left = []
    for root in readers:
        reader = stored[root]
        product = contraction(reader)
        large = product is not None and product.is_large
        again = cheap and (not large or _is_view(statement))
        worth = again or (len(readers) == 1 and not kept and _seldom(node, statement, reader))
        changed_reader = _inlined(node, reader) if worth else None
        if changed_reader is None:
            left.append(root)
        else:
            stored[root] = changed_reader
    return left


def _is_view(statement: Statement) -> bool:
    return statement.body.kind == "load"


def _inlined(node: Node, reader: Statement) -> Statement | None:
    """A statement with the loads of a node replaced by what they mean; None where one is no plain load."""
    loads = [t for t in reader.loads if t.data[0] is node]
    if any(t.data[1] != INSIDE or t.data[2] != node.tensor.rank for t in loads):
        return None
    extents = dict(_all_letters(reader))
    meaning = Meaning(node)
    meant: dict[Term, Term] = {}
    for t in parts(*loads):
        if t in loads:
            # an index may hold a load of the same node
            indices = [changed(a, meant.get) for a in t.arguments]
            value = meaning.at(indices, extents)
            if value is None:
                return None
            meant[t] = value
    body = changed(reader.body, meant.get)
    return Statement(reader.target, reader.letters, reader.place, body)


def _all_letters(statement: Statement) -> list[Loop]:
    folds = [t for t in parts(statement.body) if t.kind == "fold"]
    return [*statement.letters, *(loop for t in folds for loop in t.data[1])]


def _seldom(node: Node, statement: Statement, reader: Statement) -> bool:
    """Whether a node would be computed inside of its reader no more often than it has entries."""
    product = contraction(statement)
    where = {t: loops for t, loops in computed(reader.body, reader.letters) if t.kind == "load" and t.data[0] is node}
    if not where:
        return False
    rows: dict[tuple[Term, ...], list[tuple[Loop, ...]]] = {}
    for t, loops in where.items():
        rows.setdefault(t.arguments[:-1], []).append(loops)
    total: DimLike = 0
    for found in rows.values():
        # a row that is read several times in one pass of the outer loops is computed once
        total = total + times(found[0])
        if has_fold(statement.body) and any(not _is_outer(loops, reader) for loops in found):
            return False
    ratio = divide_exactly(node.tensor.size, total) if total != 0 else None
    if product is not None and product.is_large:
        return ratio is not None and ratio != 1  # only a part of it is needed
    return ratio is not None


def _is_outer(loops: Sequence[Loop], reader: Statement) -> bool:
    """Whether a value computed in these loops belongs to one pass of the outermost loop."""
    return not reader.letters or reader.letters[0][1] == 1 or (bool(loops) and loops[0] == reader.letters[0])


def _finished(statement: Statement) -> Statement:
    (body,) = canonical([_flat(statement.body)])
    return Statement(statement.target, statement.letters, statement.place, body)


def _flat(body: Term) -> Term:
    """The body with plain loads by one index into the buffer."""

    def change(t: Term) -> Term | None:
        if t.kind != "load" or t.data[1] != INSIDE:
            return None
        node: Node = t.data[0]
        indices = [changed(a, change, known) for a in t.arguments]
        dims = node.tensor.dims if t.data[2] == node.tensor.rank else (node.tensor.size,)
        return load(node, t.dtype, [places.composed(indices, dims)])

    known: dict[Term, Term] = {}
    return changed(body, change, known)
