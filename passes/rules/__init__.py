"""The rules: what is equal to what, and what has which fact, as lines of the language in the files beside this one.

    rule kron_inverse:    inv(kron(A, B)) <=> kron(inv(A), inv(B))    where square(A), square(B)
    fact gram_full_rank:  spd(A' @ A)                                 where full_rank(A), rows(A) >= cols(A)

The kind of a variable is told by its letter:

    A B C ...          matrices
    u v w x y z d      vectors
    a b c s t h        scalars
    n m k p q r        sizes; `eye(n)` is the identity
    i j                options, such as an axis: any value, the same wherever the letter stands

A rule without a capital letter whose ops work entry by entry, along axes, or make one number of an array
(`is_entrywise`) holds for arrays: its vectors stand for arrays of any one shape, and its scalars too where nothing is
reduced. `eigh(A)[1]` is the second of several results.

A variable that is a factor of a product stands for any run of factors (S and T for a single one that is no inverse),
one that is a summand for any part of the sum. `solve(A, B)` is read as `inv(A) @ B`, `x / y` as `x * (1 / y)`, and
what is multilinear (transposes, traces, Kronecker products, the order of factors and sums) is the business of
contractions: no rule says it.

Arrows: `=>` equal and never dearer, `<=>` equal, dearer or cheaper, `~>` an approximation. What the left side needs to
have a value (the inverse of a matrix, its real root or logarithm) is a promise of whoever wrote it, and so no
condition. The sign of a zero is not told apart. Tags:

    [unstable]   rounding may be worse on the right (for `<=>`: on either side)
    [finite]     the sides may differ where an entry is infinite or NaN
    [safe]       the left side overflows or loses digits where the right side does not: mode `stable` takes the right
                 side even where it is slower, and it may be finite where the left side is not
    [reading]    the left side is a way to write what kernels choose anew, so that its cost is not compared

Conditions: facts of variables and expressions (`spd(S)`, `nonsingular(D - C @ B)`), `square(A)`, relations of sizes
(`rows(A) >= cols(A)`), and relations that hold for every entry of a value (`a > 0`, `x >= 0`, `det(A) > 0`, `s != 0`).

`bounded(V @ inv(D) @ U, C)` is about rounding alone, and true in exact arithmetic: the product of the norms of these
values says how many times more a rounding may count on the right than on the left. It is found when the program runs,
so that mode `stable` takes the rule behind a guard (`tpc.passes.guard`), and only where `inv(D)` is had without loss:
D is diagonal, or an inverse itself. Mode `fast` does not ask.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

from tpc.dsl.syntax import Name, Rule, RuleFact
from tpc.passes.rules.trees import called, walk

__all__ = ["BOUNDED", "KINDS", "SINGLE", "Law", "Line", "is_entrywise", "kind_of", "lines", "rules"]

Law = Rule | RuleFact
"""One line of a `.rules` file."""

BOUNDED = "bounded"  # the condition that is looked at when the program runs

SINGLE = frozenset("ST")  # matrices that are no product of others

KINDS = {
    **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "matrix"),
    **dict.fromkeys("uvwxyzd", "vector"),
    **dict.fromkeys("abcsth", "scalar"),
    **dict.fromkeys("nmkpqr", "size"),
    **dict.fromkeys("ij", "option"),
}


@dataclass(frozen=True)
class Line:
    """A rule as it stands in its file, not yet read; `needs` and `gives` are the ops of its two sides."""

    name: str
    file: str
    text: str
    needs: frozenset[str]
    gives: frozenset[str]
    tags: frozenset[str]
    arrow: str

    @property
    def is_guarded(self) -> bool:
        """Whether it is used behind a guard where roundings count."""
        return f" {BOUNDED}(" in self.text

    @property
    def is_of_products(self) -> bool:
        """Whether it is a fact of products and sums alone, without an op to look for."""
        return not self.arrow and _CALL.search(_sides(self.text)[0]) is None

    @property
    def is_of_fields(self) -> bool:
        """Whether it holds of complex numbers too. The others speak of lengths, order, or one of several roots."""
        return self.needs | self.gives <= _OF_FIELDS

    @cached_property
    def law(self) -> Law:
        """The rule, read. Raises `TpcError` if it cannot be."""
        from tpc.dsl.diagnostics import Diagnostics
        from tpc.dsl.parser import parse_rules
        from tpc.dsl.source import Source

        diagnostics = Diagnostics()
        laws = parse_rules(Source(self.text, self.file), diagnostics)
        diagnostics.raise_errors()
        (law,) = laws
        return law


# Ops that are no terms of their own in a graph: they are contractions, numbers or sizes.
_DISSOLVED = frozenset(
    ["kron", "khatri_rao", "outer", "diag", "trace", "vec", "unvec", "dot", "sum", "mean", "eye", "ones", "zeros"]
    + ["square", "rows", "cols", "transpose", "where"]
)
# Ops that are one analytic function, of complex numbers as of real ones.
_OF_FIELDS = frozenset(
    ["inv", "det", "logdet", "solve_triangular", "concat", "flip", "cumsum", "cumprod"]
    + ["exp", "expm", "sin", "cos", "tan", "sinh", "cosh", "tanh"]
)
_OPEN = re.compile(r"(?:rule|fact) (\w+)(?: \[([\w, ]+)\])?:")
_ARROW = re.compile(r"<=>|=>|~>")
_WHERE = re.compile(r"\bwhere\b")
_CALL = re.compile(r"[a-z_0-9]\(|[\[\]/\\^]")  # what is written as a call, or read as one


@cache
def lines() -> dict[str, Line]:
    """All rules and facts, by name, in the order of the files; each is read when it is asked for its law.

    Raises
    ------
    ValueError
        If two lines have one name.
    """
    found: dict[str, Line] = {}
    folder = resources.files(__name__)
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".rules"):
            continue
        for text in re.split(r"\n(?=rule |fact )", f"\n{file.read_text(encoding='utf-8')}")[1:]:
            text = re.sub(r"(?m)^#.*\n?", "", f"{text}\n")
            line = _line(text.rstrip() + "\n", file.name)
            if line.name in found:
                raise ValueError(f"two rules are called {line.name}")
            found[line.name] = line
    return found


def _line(text: str, file: str) -> Line:
    opened = _OPEN.match(text)
    assert opened is not None, text
    left, arrow, right = _sides(text)
    tags = frozenset((opened[2] or "").replace(" ", "").split(",")) - {""}
    return Line(opened[1], file, text, _ops(left), _ops(right), tags, arrow)


def _sides(text: str) -> tuple[str, str, str]:
    """The left side, the arrow and the right side; of a fact what it is about, which stands inside of its word."""
    body = _WHERE.split(text.partition(":")[2], maxsplit=1)[0]
    arrow = _ARROW.search(body)
    if arrow is None:
        return body.partition("(")[2], "", ""
    return body[: arrow.start()], arrow[0], body[arrow.end() :]


def _ops(text: str) -> frozenset[str]:
    found = set(re.findall(r"\b([a-z_][a-z_0-9]*)\(", text)) - _DISSOLVED
    if re.search(r"\[[^\]]*[A-Z0][^\]]*[,;]", text):
        found.add("concat")
    return frozenset(found)


def rules() -> dict[str, Law]:
    """All rules and facts, read, by name, in the order of the files.

    Raises
    ------
    TpcError
        If a line cannot be read.
    """
    return {name: line.law for name, line in lines().items()}


def kind_of(name: str) -> str | None:
    """`matrix`, `vector`, `scalar`, `size` or `option`; None for a name that is no variable, such as `pi`."""
    return KINDS.get(name)


def is_entrywise(law: Law) -> bool:
    """Whether the variables of a rule stand for arrays of any shape."""
    from tpc.ir.ops import OPS

    sides = (law.left, law.right) if isinstance(law, Rule) else (law.conclusion,)
    for part in (part for side in sides for part in walk(side)):
        if isinstance(part, Name) and kind_of(part.name) in ("matrix", "size"):
            return False
        if getattr(part, "operator", None) in ("@", "\\"):
            return False
        if called(part) in OPS:
            op = OPS[called(part)]
            if op.group not in ("elementwise", "reductions", "layers") or op.name == "norm":
                return False
    return True
