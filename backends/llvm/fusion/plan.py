"""Which values of a program are stored, and what is computed where it is used.

Nodes are gone through from the results backwards. A value is computed inside of the statement that reads it if it is
read by no other, and would there be computed no more often than it has entries; what is cheap is computed anew
wherever it is read. All else is stored by a statement of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from tpc.backends.llvm.fusion import places
from tpc.backends.llvm.fusion.chunks import chunked
from tpc.backends.llvm.fusion.contraction import contraction
from tpc.backends.llvm.fusion.division import with_reciprocals
from tpc.backends.llvm.fusion.flat import finished
from tpc.backends.llvm.fusion.limits import bounded
from tpc.backends.llvm.fusion.meaning import Meaning
from tpc.backends.llvm.fusion.statement import Buffer, Loop, Statement, computed, flops, times
from tpc.backends.llvm.fusion.stream import Stream, streamed
from tpc.backends.llvm.fusion.terms import INSIDE, Term, changed, has_fold, parts, renamed
from tpc.backends.llvm.fusion.together import is_no_dearer
from tpc.backends.llvm.fusion.translation import number_or_size
from tpc.backends.llvm.fusion.transposed import along_lines
from tpc.ir.dims import DimLike, divide_exactly
from tpc.ir.facts import analyse
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import INPUT

CHEAP = 4  # flops of what is rather computed again than stored
STREAMED = 1 << 20  # bytes of what may as well be stored as a whole


def statements(program: Program, fast: bool = False) -> list[Statement | Stream]:
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
    steps: list[Statement | Stream] = []
    facts = analyse(program) if program.facts else {}
    streams = _streams(order, stored, program.outputs)
    for node in order:
        if node in streams:
            steps.append(streams[node].changed(lambda s: with_reciprocals(s, fast)))
        elif node in stored:
            product = contraction(stored[node])
            is_large = product is not None and product.is_large
            statement = finished(stored[node] if is_large else bounded(stored[node], facts))
            for part in chunked(with_reciprocals(statement, fast)):
                steps += along_lines(part) if not is_large else [part]
    return steps


def _streams(order: Sequence[Node], stored: dict[Node, Statement], outputs: Sequence[Node]) -> dict[Node, Stream]:
    """The statements that can take in tile by tile what they alone read; that is stored no more."""
    streams: dict[Node, Stream] = {}
    for root in order:
        if root not in stored:
            continue
        taken = {node for stream in streams.values() for node in stream.reads}
        needed = {*outputs, *taken}
        for rows in dict.fromkeys(rows for _, _, rows in _pairs(stored[root], stored, needed, {root})):
            gone, stream = _stream(root, rows, stored, needed)
            if stream is not None:
                streams[root] = stream
                for node in gone:
                    del stored[node]
                break
    return streams


def _stream(
    root: Node, rows: frozenset[str], stored: dict[Node, Statement], needed: Collection[Node | Buffer]
) -> tuple[set[Node], Stream | None]:
    """The values that a stream along the letters of rows takes in, with that of its result, and the stream; none where
    no product is taken in, and nothing that costs more than it does to store it."""
    whole, made, pairs, gone = stored[root], [], [], {root}
    is_dear = False
    while found := next((f for f in _pairs(whole, stored, needed, gone) if f[2] == rows), None):
        node, loads, _ = found
        gone.add(node)
        pairs += loads
        product_of = contraction(stored[node])
        if product_of is not None and product_of.is_large:
            made.append(stored[node])
        else:
            is_dear |= not _is_cheap(stored[node])
            whole = _with(whole, stored[node], loads)
    return gone, streamed(whole, made, pairs) if made or is_dear else None


def _pairs(
    whole: Statement, stored: dict[Node, Statement], needed: Collection[Node | Buffer], gone: set[Node]
) -> Iterator[tuple[Node, list[Term], frozenset[str]]]:
    """The values that a statement alone reads, at its own letters and at one over which it reduces, how, and at which
    of its own; what is needed besides is none."""
    own = {n for n, _ in whole.letters}
    for node in dict.fromkeys(t.data[0] for t in whole.loads):
        if node not in stored or node in needed or node in gone:
            continue
        if any(node in s.reads for reader, s in stored.items() if reader not in gone):
            continue
        if len(stored[node].letters) != node.tensor.rank:
            continue  # an axis of several letters
        loads = [t for t in whole.loads if t.data[0] is node]
        if _is_small(node) or any(t.data[1] != INSIDE or t.data[2] != node.tensor.rank for t in loads):
            continue
        names = [[a.data for a in t.arguments if a.kind == "letter"] for t in loads]
        if all(len(set(n)) == node.tensor.rank and len(own.intersection(n)) == len(n) - 1 > 0 for n in names):
            yield node, loads, frozenset(own.intersection(*names))


def _is_small(node: Node) -> bool:
    size = node.tensor.bytes
    return isinstance(size, int) and size < STREAMED


def _with(reader: Statement, made: Statement, loads: Sequence[Term]) -> Statement:
    """A statement with what a value is in the places of loads of it at letters."""
    meant = {
        t: renamed(made.body, {n: a.data for (n, _), a in zip(made.letters, t.arguments, strict=True)}) for t in loads
    }
    return Statement(reader.target, reader.letters, reader.place, changed(reader.body, meant.get))


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
    cheap = _is_cheap(statement) and len(statement.loads) <= 2
    left = []
    for root in readers:
        reader = stored[root]
        product = contraction(reader)
        large = product is not None and product.is_large
        again = cheap and (not large or _is_view(statement))
        worth = again or (len(readers) == 1 and not kept and _seldom(node, statement, reader))
        changed_reader = _inlined(node, reader) if worth else None
        if changed_reader is not None and has_fold(statement.body):
            both, *apart = map(finished, (changed_reader, statement, reader))
            changed_reader = changed_reader if is_no_dearer(both, *apart) else None
        if changed_reader is None:
            left.append(root)
        else:
            stored[root] = changed_reader
    return left


def _is_cheap(statement: Statement) -> bool:
    return not has_fold(statement.body) and flops(statement.body) <= CHEAP


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
