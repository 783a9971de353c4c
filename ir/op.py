"""What an op is: one record, and what follows from its line of index notation.

    op("kron(A[i,j], B[p,q])[(i p),(j q)] = A[i,j] * B[p,q]", about=..., facts=...)

The line gives the signature and the shapes; with a right side it also gives the reference meaning, the operation
count and the loops. An op whose meaning cannot be said in a line states it by hand in the same record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from typing import Any

from tpc.dsl import syntax
from tpc.ir.dims import DimLike, assumed, dim_text, divide_exactly, product
from tpc.ir.formula import Formula
from tpc.ir.types import BOOL, I64, DType, TensorType, as_complex, as_float, promote_all, real_part

Attributes = Mapping[str, Any]


class Misfit(Exception):
    """Operands do not fit an op. `operands` says of some of them (by position) what they are."""

    def __init__(
        self, code: str, title: str, operands: Sequence[tuple[int, str]] = (), help: str | None = None
    ) -> None:
        super().__init__(title)
        self.code, self.title, self.operands, self.help = code, title, tuple(operands), help


# The dtype of a result from those of the operands.
DTYPE_RULES: dict[str, Callable[[list[DType]], DType]] = {
    "same": promote_all,
    "float": lambda operands: as_float(promote_all(operands)),
    "real": lambda operands: real_part(as_float(promote_all(operands))),
    "complex": lambda operands: as_complex(promote_all(operands)),
    "bool": lambda operands: BOOL,
    "index": lambda operands: I64,
    "first": lambda operands: operands[0],
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Op:
    """An operation of the language.

    Attributes
    ----------
    line : str
        `name(operands, dims)[axes of the result] = body`; the body may be missing, and several results are
        separated by commas: `qr(A[..., i, j])[..., i, k], [..., k, j]`. A bare name among the operands is a size.
    line_by : callable, optional
        `(operand types, attributes) -> line`, where the line depends on ranks or options; `line` is then the one
        that shows the names of the operands. Raises `Misfit`.
    options : dict
        Keyword options known at compile time, with their defaults. A size of the line that stands here may be left
        out.
    dtype : str
        A key of `DTYPE_RULES`; several, separated by spaces, where there are several results. Empty: that of the
        formula, or `same` where there is none.
    kinds : str
        The kinds of dtype (of `bifc`) that the operands may have, separated by spaces; the last holds for the rest.
    typing : callable, optional
        `(operand types, attributes) -> result types`, where the line cannot say it. Raises `Misfit`.
    formula_by : callable, optional
        `(operand types, attributes) -> Formula`, where the formula depends on ranks or options.
    reference : callable, optional
        `(np, operand arrays, attributes) -> array or tuple of arrays`, the meaning where no formula gives it.
    exact : callable, optional
        The same over a field: operands are object arrays of fractions or residues.
    flops : str
        A polynomial in the letters of the line, and in `entries_A`, the number of entries of an operand A without
        its batch axes; empty if the formula says it.
    facts : str
        Lines `premises |- conclusion where conditions`, about the operands and `this`.
    needs : str
        A fact that the author promises of the operand by writing the op.
    gauge : str
        What the definition leaves open, as the signs of singular vectors; implementations may differ in it.
    variadic : str
        `tensors` where more tensors may follow; `dims` where the last name of the line stands for any number of
        sizes, and is an attribute that holds a tuple.
    operator : str, optional
        How it is spelled between operands (or before or after one).
    """

    name: str
    line: str = ""
    about: str
    group: str = ""
    line_by: Callable[[list[TensorType], Attributes], str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = ""
    kinds: str = "bifc"
    typing: Callable[[list[TensorType], Attributes], list[TensorType]] | None = None
    formula_by: Callable[[list[TensorType], Attributes], Formula | None] | None = None
    reference: Callable[[Any, list[Any], Attributes], Any] | None = None
    exact: Callable[[list[Any], Attributes], Any] | None = None
    flops: str = ""
    facts: str = ""
    needs: str = ""
    gauge: str = ""
    variadic: str = ""
    operator: str | None = None

    def __repr__(self) -> str:
        return f"op {self.name}"

    @cached_property
    def syntax(self) -> syntax.OpLine:
        from tpc.dsl.parser import parse_op_line

        return parse_op_line(self.line)

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """The names of the tensor operands in the line."""
        return tuple(p.base.name for p in self.syntax.parameters if isinstance(p, syntax.Subscript))  # type: ignore[union-attr]

    @cached_property
    def dims(self) -> tuple[str, ...]:
        """The names of the sizes among the operands, without the one that stands for any number."""
        return tuple(name for name in self.parameters if name not in self.tensors)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of operands and sizes in order, without the one that stands for any number of sizes."""
        names = [p.name if isinstance(p, syntax.Name) else p.base.name for p in self.syntax.parameters]  # type: ignore[union-attr]
        return tuple(names[:-1] if self.variadic == "dims" else names)

    @cached_property
    def has_formula(self) -> bool:
        """Whether index notation says what it means (for all or some of its operand types)."""
        return self.formula_by is not None or (bool(self.line) and self.syntax.body is not None)

    def holds_places(self, number: int) -> bool:
        """Whether an operand can only be integers: its format has nothing to do with that of the result."""
        kinds = self.kinds.split()
        return kinds[min(number, len(kinds) - 1)] == "i"

    def at(self, operands: list[TensorType], attributes: Attributes) -> Op:
        """The op with the line that holds at these operand types.

        Raises
        ------
        Misfit
            If the ranks or options fit no line.
        """
        return self if self.line_by is None else _with_line(self, self.line_by(operands, attributes))

    def types(self, operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
        """The types of the results.

        Raises
        ------
        Misfit
            If the operands do not fit.
        """
        return list(_types(self, tuple(operands), tuple(attributes.items()), assumed()))

    def _types(self, operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
        self._check_kinds(operands)
        if self.typing is not None:
            return self.typing(operands, attributes)
        op = self.at(operands, attributes)
        formats = [o.dtype for o in operands]
        formula = None if self.dtype else op.formula(operands, attributes)
        if formula is not None:
            return [TensorType(formula.dtype(formats), formula.dims)]
        binding = bind(op, operands, attributes)
        formats = [o for number, o in enumerate(formats) if not self.holds_places(number)] or formats
        dtypes = [DTYPE_RULES[rule](formats) for rule in (self.dtype or "same").split()]
        shapes = [[dim for axis in axes for dim in binding.axis(axis)] for axes in op.syntax.results]
        if len(dtypes) == 1:
            dtypes *= len(shapes)
        return [TensorType(dtype, dims) for dtype, dims in zip(dtypes, shapes, strict=True)]

    def _check_kinds(self, operands: list[TensorType]) -> None:
        kinds = self.kinds.split()
        for number, operand in enumerate(operands):
            allowed = kinds[min(number, len(kinds) - 1)]
            if operand.dtype.kind not in allowed:
                wanted = " or ".join(_KINDS[kind] for kind in allowed if kind != "b" or allowed == "b")
                raise Misfit(
                    "E0221",
                    f"`{self.operator or self.name}` needs {wanted} entries here, not {operand.dtype}",
                    [(number, f"this is {operand}")],
                )

    def formula(self, operands: list[TensorType], attributes: Attributes) -> Formula | None:
        """The meaning at these operand types as a formula, or None where it is given by hand."""
        return _formula(self, tuple(operands), tuple(attributes.items()))

    def _formula(self, operands: list[TensorType], attributes: Attributes) -> Formula | None:
        if self.line_by is not None:
            return self.at(operands, attributes).formula(operands, attributes)
        if self.formula_by is not None:
            return self.formula_by(operands, attributes)
        if not self.line or self.syntax.body is None:
            return None
        from tpc.ir.op_line import formula_of_line

        return formula_of_line(self, operands, attributes)

    def count_flops(self, operands: list[TensorType], attributes: Attributes) -> DimLike:
        """Operations at these operand types, as a polynomial of the sizes."""
        if self.flops:
            from tpc.dsl.parser import parse_expression

            binding = bind(self.at(operands, attributes), operands, attributes)
            for name, count in zip(self.tensors, binding.entries):
                binding.letters[f"entries_{name}"] = count
            count = binding.dim(parse_expression(self.flops))
            return product(binding.batch) * count
        formula = self.formula(operands, attributes)
        return formula.flops if formula is not None else 0


# The same op on the same types is met again and again, in a program and from pass to pass. What is known of sizes there
# is a part of the question: with n >= k, the smaller of n and k is k.
@lru_cache(8192)
def _types(
    op: Op,
    operands: tuple[TensorType, ...],
    attributes: tuple[tuple[str, Any], ...],
    known: tuple[DimLike, ...],
) -> tuple[TensorType, ...]:
    return tuple(op._types(list(operands), dict(attributes)))


@lru_cache(8192)
def _formula(op: Op, operands: tuple[TensorType, ...], attributes: tuple[tuple[str, Any], ...]) -> Formula | None:
    return op._formula(list(operands), dict(attributes))


_KINDS = {"b": "bool", "i": "integer", "f": "real", "c": "complex"}


@cache
def _with_line(op: Op, line: str) -> Op:
    return replace(op, line=line, line_by=None)


@dataclass
class Binding:
    """The letters of an op line, bound to dims."""

    op: Op
    letters: dict[str, DimLike]
    batch: list[DimLike]
    entries: list[DimLike]  # of each operand, without batch axes

    def axis(self, axis: syntax.Expr | syntax.Dots | syntax.Composed) -> list[DimLike]:
        """The dims that an axis of a result stands for: one, or the batch dims."""
        if isinstance(axis, syntax.Dots):
            return list(self.batch)
        if isinstance(axis, syntax.Composed):
            return [product(self.letters[letter.name] for letter in axis.letters)]
        return [self.dim(axis)]

    def dim(self, expression: syntax.Expr) -> DimLike:
        """A size expression of the line, in the sizes of the operands."""
        from tpc.ir.notation import dim_of_syntax

        return dim_of_syntax(expression, self.letters)


def _axis_name(position: int, axes: int) -> str:
    if axes == 1:
        return "entries"
    return {axes - 2: "rows", axes - 1: "columns"}.get(position, f"entries on axis {position}")


def bind(op: Op, operands: Sequence[TensorType], attributes: Attributes) -> Binding:
    """Match operand types with the axes in the op's line.

    Raises
    ------
    Misfit
        If the number of axes, the size of a repeated letter, or the batch dims do not fit.
    """
    letters: dict[str, DimLike] = {name: attributes[name] for name in op.dims if name in attributes}
    origin: dict[str, tuple[int, str]] = {}
    batches: list[tuple[DimLike, ...]] = []
    entries: list[DimLike] = []
    composed: list[tuple[int, syntax.Composed, DimLike]] = []
    parameters = [p for p in op.syntax.parameters if isinstance(p, syntax.Subscript)]
    for number, (parameter, operand) in enumerate(zip(parameters, operands)):
        axes = parameter.items
        dotted = bool(axes) and isinstance(axes[0], syntax.Dots)
        fixed = axes[1:] if dotted else axes
        if operand.rank < len(fixed) or (operand.rank > len(fixed) and not dotted):
            wanted = {0: "a scalar", 1: "a vector", 2: "a matrix"}.get(len(fixed), f"{len(fixed)} axes")
            kind = {0: "a scalar", 1: "a vector", 2: "a matrix"}.get(operand.rank, f"{operand.rank} axes")
            raise Misfit(
                "E0204",
                f"`{op.operator or op.name}` needs {wanted}, but is given {kind}",
                [(number, f"this is {operand}")],
            )
        split = operand.rank - len(fixed)
        batches.append(operand.dims[:split])
        entries.append(product(operand.dims[split:]))
        for position, (axis, dim) in enumerate(zip(fixed, operand.dims[split:], strict=True)):
            what = f"has {dim_text(dim)} {_axis_name(position, len(fixed))}"
            if isinstance(axis, syntax.Composed):
                composed.append((number, axis, dim))
            elif isinstance(axis, syntax.Number):
                if axis.value != dim:
                    raise Misfit("E0203", f"`{op.name}` needs {axis.value} here, not {dim_text(dim)}", [(number, what)])
            else:
                assert isinstance(axis, syntax.Name)
                known = letters.get(axis.name)
                if known is None:
                    letters[axis.name] = dim
                    origin[axis.name] = (number, what)
                elif known != dim:
                    raise _clash(op, operands, number, axis.name, known, dim, what, origin)
    for number, group, dim in composed:
        _split(op, number, group, dim, letters)
    return Binding(op, letters, broadcast(op, batches), entries)


def _clash(
    op: Op,
    operands: Sequence[TensorType],
    number: int,
    letter: str,
    known: DimLike,
    dim: DimLike,
    what: str,
    origin: dict[str, tuple[int, str]],
) -> Misfit:
    sign = op.operator or op.name
    first = origin.get(letter)
    if first is None:
        return Misfit(
            "E0203", f"`{sign}` is given {dim_text(dim)} where {dim_text(known)} is asked for", [(number, what)]
        )
    if first[0] == number:
        return Misfit(
            "E0205",
            f"`{sign}` needs a square matrix, but this is {operands[number]}",
            [(number, f"{first[1]} and {what[4:]}")],
        )
    return Misfit(
        "E0203",
        f"`{sign}` needs {first[1].split(' ', 2)[2]} and {what.split(' ', 2)[2]} to match, "
        f"but {dim_text(known)} is not {dim_text(dim)}",
        [first, (number, what)],
    )


def _split(op: Op, number: int, group: syntax.Composed, dim: DimLike, letters: dict[str, DimLike]) -> None:
    names = [letter.name for letter in group.letters]
    unknown = [name for name in names if name not in letters]
    known = product(letters[name] for name in names if name in letters)
    if not unknown and known == dim:
        return
    if len(unknown) == 1:
        quotient = divide_exactly(dim, known)
        if quotient is not None:
            letters[unknown[0]] = quotient
            return
    raise Misfit(
        "E0206",
        f"`{op.name}` cannot split {dim_text(dim)} entries into {dim_text(known)}",
        [(number, f"has {dim_text(dim)} entries")],
    )


def broadcast(op: Op, shapes: Sequence[tuple[DimLike, ...]]) -> list[DimLike]:
    """The common dims of shapes by NumPy's rules: aligned at the right, and 1 stretches.

    Raises
    ------
    Misfit
        If two sizes differ and neither is 1.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[DimLike] = [1] * rank
    owner = [0] * rank
    for number, shape in enumerate(shapes):
        for position, dim in enumerate(shape, rank - len(shape)):
            if dim == 1 or dim == result[position]:
                continue
            if result[position] != 1:
                first = dim_text(result[position])
                raise Misfit(
                    "E0202",
                    f"`{op.operator or op.name}` needs operands of one shape, but {first} is not {dim_text(dim)}",
                    [
                        (owner[position], f"has {first} here"),
                        (number, f"has {dim_text(dim)} here"),
                    ],
                    "sizes match from the right; only a size of 1 stretches",
                )
            result[position], owner[position] = dim, number
    return result
