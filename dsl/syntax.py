"""The syntax tree: what was written, piece by piece, each with its place in the text.

    module     = (use | const | def | structure)*
    def        = name(parameters) -> results where constraints: statements
    structure  = name(parameters) where constraints: statements, the last of which is the dense meaning
    statement  = assign | approx | return | repeat | until | scan | if
    expression = number | string | name | unary | binary | transpose | call | subscript | reduce | block
               | tuple | conditional

Nothing here knows what a name means; that is the business of `tpc.ir`.
"""

from dataclasses import dataclass, field

from tpc.dsl.source import Source, Span

# ---- expressions


@dataclass(slots=True, eq=False)
class Number:
    """A literal: an int, a float, or (with the suffix `j`) an imaginary number."""

    span: Span
    value: int | float | complex


@dataclass(slots=True, eq=False)
class String:
    """Text in double quotes; legal only as the file name of `load` and `use`."""

    span: Span
    value: str


@dataclass(slots=True, eq=False)
class Name:
    span: Span
    name: str


@dataclass(slots=True, eq=False)
class Unary:
    """`-x`, `+x` or `not x`."""

    span: Span
    operator: str
    operand: "Expr"


@dataclass(slots=True, eq=False)
class Binary:
    """Two operands around one of `+ - * / @ \\ ^ == != < <= > >= and or`."""

    span: Span
    operator: str
    left: "Expr"
    right: "Expr"


@dataclass(slots=True, eq=False)
class Transpose:
    """`x'`"""

    span: Span
    operand: "Expr"


@dataclass(slots=True, eq=False)
class Keyword:
    """`name=value` in a call."""

    span: Span
    name: str
    value: "Expr"


@dataclass(slots=True, eq=False)
class Call:
    """`f(x, y, key=z)`; the function may be an expression: `grad(loss, g)(x)`."""

    span: Span
    function: "Expr"
    arguments: list["Expr"]
    keywords: list[Keyword]


@dataclass(slots=True, eq=False)
class Slice:
    """`start:stop:step` between brackets, each part optional."""

    span: Span
    start: "Expr | None"
    stop: "Expr | None"
    step: "Expr | None"


@dataclass(slots=True, eq=False)
class Dots:
    """`...`: the batch dimensions."""

    span: Span


@dataclass(slots=True, eq=False)
class Composed:
    """`(i p)`: an axis made of several letters, the last running fastest."""

    span: Span
    letters: list[Name]


@dataclass(slots=True, eq=False)
class Subscript:
    """`x[i, 1:k, ...]`; `pad` is the value outside of the bounds, in `x[i + s, pad=0]`."""

    span: Span
    base: "Expr"
    items: list["Expr | Slice | Dots | Composed"]
    pad: "Expr | None"


@dataclass(slots=True, eq=False)
class Letter:
    """An index letter that is bound here, with its extent where one is given: `k` or `k in n`."""

    span: Span
    name: str
    extent: "Expr | None"


@dataclass(slots=True, eq=False)
class Reduce:
    """`sum[i, k in n where k <= i](body)`; the operator is a name such as sum, max, prod, argmax."""

    span: Span
    operator: str
    letters: list[Letter]
    guard: "Expr | None"
    body: "Expr"


@dataclass(slots=True, eq=False)
class Block:
    """`[A, B; C, D]`"""

    span: Span
    rows: list[list["Expr"]]


@dataclass(slots=True, eq=False)
class Tuple:
    """`x, y` or `(x, y)`"""

    span: Span
    items: list["Expr"]


@dataclass(slots=True, eq=False)
class Conditional:
    """`then if condition else other`, on a scalar condition."""

    span: Span
    then: "Expr"
    condition: "Expr"
    other: "Expr"


Expr = Number | String | Name | Unary | Binary | Transpose | Call | Subscript | Reduce | Block | Tuple | Conditional

# ---- types


@dataclass(slots=True, eq=False)
class TypeExpr:
    """`f64[n, m]`, `f64` (a scalar: `dims` is empty) or `[n, m]` (the dtype is the caller's)."""

    span: Span
    dtype: Name | None
    dims: list[Expr | Dots]


@dataclass(slots=True, eq=False)
class Fact:
    """`spd`, `banded(1, 2)`, `sparse(0.01)`"""

    span: Span
    name: str
    arguments: list[Expr]


@dataclass(slots=True, eq=False)
class Parts:
    """`low_rank(U: f64[m, r], V: f64[n, r])` as a type: a structure, and what is stored of it.

    A part without a type is a size, or has the value that it is given: `toeplitz(t: f64[m + n - 1], m)`.
    """

    span: Span
    structure: Name
    parts: list["Parameter"]


@dataclass(slots=True, eq=False)
class Parameter:
    """`A: f64[n, n] is spd = default`, or `W: low_rank(U: f64[m, r], V: f64[n, r])`.

    `whole` names the structured parameter that this one is a part of (see `tpc.ir.elaborate.parts`).
    """

    span: Span
    name: Name
    type: TypeExpr | None
    facts: list[Fact]
    default: Expr | None
    parts: Parts | None = None
    whole: Name | None = None


@dataclass(slots=True, eq=False)
class Result:
    """A result type with its facts: `f64[n, n] is symmetric`."""

    span: Span
    type: TypeExpr
    facts: list[Fact]


# ---- statements


@dataclass(slots=True, eq=False)
class Target:
    """The left of `=`: `x`, `K[i, j]` (then `letters` is a list), or with a type: `x: f64[n] is nonnegative`."""

    span: Span
    name: Name
    letters: list[Letter | Composed] | None
    type: TypeExpr | None
    facts: list[Fact]


@dataclass(slots=True, eq=False)
class Assign:
    span: Span
    targets: list[Target]
    value: Expr


@dataclass(slots=True, eq=False)
class Approx:
    """`Ws ~= W within 1e-2 on X`; `norm` is what stands behind `in`."""

    span: Span
    target: Target
    value: Expr
    within: Expr
    norm: Name | None
    on: Expr | None


@dataclass(slots=True, eq=False)
class Return:
    span: Span
    value: Expr


@dataclass(slots=True, eq=False)
class Repeat:
    """`repeat count until condition:`; the condition may also stand in the body, as `until condition`."""

    span: Span
    count: Expr
    until: Expr | None
    body: list["Statement"]


@dataclass(slots=True, eq=False)
class Until:
    """`until condition` inside of a `repeat`: what stands before it is evaluated for the test."""

    span: Span
    condition: Expr


@dataclass(slots=True, eq=False)
class Scan:
    """`scan i in t:`"""

    span: Span
    letter: Name
    extent: Expr
    body: list["Statement"]


@dataclass(slots=True, eq=False)
class If:
    """`if` and `elif` branches in order, and the statements of `else`."""

    span: Span
    branches: list[tuple[Expr, list["Statement"]]]
    otherwise: list["Statement"]


@dataclass(slots=True, eq=False)
class Broken:
    """A line that could not be read; its error is already reported."""

    span: Span


Statement = Assign | Approx | Return | Repeat | Until | Scan | If | Broken

# ---- top level


@dataclass(slots=True, eq=False)
class Def:
    """A function. A short form `def f(x) = e` has one `Return` and `short` set.

    `of_parts` if it is made of a structure: the function from its parts to the matrix.
    """

    span: Span
    name: Name
    parameters: list[Parameter]
    results: list[Result] | None
    where: list[Expr]
    body: list[Statement]
    short: bool
    of_parts: bool = False


@dataclass(slots=True, eq=False)
class Structure:
    """`structure low_rank(U: [m, r], V: [n, r]): W[i, j] = sum[s](U[i, s] * V[j, s])`

    A matrix of which parts are stored; the last statement says its entries. `short` if it stands on one line.
    """

    span: Span
    name: Name
    parameters: list[Parameter]
    where: list[Expr]
    body: list[Statement]
    short: bool


@dataclass(slots=True, eq=False)
class Const:
    """`const W: f32[n, n] is spd = load("w.npy")`, or a constant expression."""

    span: Span
    name: Name
    type: TypeExpr | None
    facts: list[Fact]
    value: Expr


@dataclass(slots=True, eq=False)
class Use:
    """`use "other.tp"`"""

    span: Span
    path: String


@dataclass(slots=True, eq=False)
class Budget:
    """`@memory("512MB")`, above the function that it is for."""

    span: Span
    name: Name
    amount: String


Item = Def | Structure | Const | Use | Budget | Broken


@dataclass(slots=True, eq=False)
class Comment:
    """A comment with its `#`; `trailing` when code stands before it on the line."""

    span: Span
    trailing: bool


@dataclass(slots=True, eq=False)
class Module:
    source: Source
    items: list[Item]
    comments: list[Comment] = field(default_factory=list)


# ---- op lines and rules (read by tpc.ir and tpc.passes)


@dataclass(slots=True, eq=False)
class OpLine:
    """`kron(A[i,j], B[p,q])[(i p),(j q)] = A[i,j] * B[p,q]`.

    `results` holds one list of axes per result; `body` is missing where the meaning is given by hand.
    """

    span: Span
    name: Name
    parameters: list[Subscript | Name]
    results: list[list[Expr | Dots | Composed]]
    body: Expr | None


@dataclass(slots=True, eq=False)
class FactLine:
    """`diagonal(A), diagonal(B) |- diagonal(this) where square(A)`: premises, conclusion, conditions."""

    span: Span
    premises: list[Expr]
    conclusion: Expr
    where: list[Expr]


@dataclass(slots=True, eq=False)
class Rule:
    """`rule name: left <=> right where conditions`; the arrow is one of `=>`, `<=>`, `~>`."""

    span: Span
    name: Name
    left: Expr
    arrow: str
    right: Expr
    where: list[Expr]
    tags: list[Name]


@dataclass(slots=True, eq=False)
class RuleFact:
    """`fact name: psd(A' @ A) where conditions`"""

    span: Span
    name: Name
    conclusion: Expr
    where: list[Expr]
