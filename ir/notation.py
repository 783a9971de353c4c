"""Index notation to formulas: op lines and index statements are read by the same code.

An expression with letters becomes a scalar over operands here; `extents` then finds the sizes of the letters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Label, TpcError, fail
from tpc.dsl.source import Span
from tpc.ir.dims import (
    DimLike,
    add,
    divide,
    divide_exactly,
    maximum,
    minimum,
    multiply,
    named,
    power,
)
from tpc.ir.formula import (
    Access,
    Apply,
    Composed,
    LetterValue,
    Literal,
    Reduction,
    Scalar,
    applied,
    children,
    scalar_dtype,
    size_scalar,
)
from tpc.ir.scalar import OPERATORS, REDUCERS, SCALARS
from tpc.ir.types import DTYPES, TensorType

MAX_DEPTH = 150
MAX_SCALARS = 5_000

CONSTANTS: dict[str, bool | float] = {
    "true": True,
    "false": False,
    "pi": 3.141592653589793,
    "π": 3.141592653589793,
    "inf": float("inf"),
    "nan": float("nan"),
}


def dim_of_syntax(expression: syntax.Expr, sizes: Mapping[str, DimLike] | None) -> DimLike:
    """A size expression as a dim; names are looked up in `sizes`, or (if that is None) are sizes themselves.

    Raises
    ------
    TpcError
        If it is no polynomial of known sizes with integer coefficients.
    """
    match expression:
        case syntax.Number(value=int() as value):
            return value
        case syntax.Name(name=name):
            if sizes is None:
                return named(name)
            if name in sizes:
                return sizes[name]
            raise fail("E0207", f"`{name}` is not a known size", expression.span)
        case syntax.Unary(operator="-", operand=operand):
            return multiply(dim_of_syntax(operand, sizes), -1)
        case syntax.Binary():
            return _dim_of_binary(expression, sizes)
        case syntax.Call(
            function=syntax.Name(name="min" | "max" | "div" as name), arguments=[left, right], keywords=[]
        ):
            a, b = dim_of_syntax(left, sizes), dim_of_syntax(right, sizes)
            if name == "div":
                if b == 0:
                    raise fail("E0208", "a size is divided by zero", expression.span)
                return divide(a, b)
            return minimum(a, b) if name == "min" else maximum(a, b)
    raise _no_size(expression)


def _no_size(expression: syntax.Expr) -> TpcError:
    return fail(
        "E0208",
        "a size must be a polynomial of sizes with integer coefficients",
        expression.span,
        help="use names, integers, `+ - *`, `^` by a small integer, and min, max or div (which rounds down)",
    )


def _dim_of_binary(expression: syntax.Binary, sizes: Mapping[str, DimLike] | None) -> DimLike:
    # a long sum leans to the left: walk down and come back up, without recursion
    spine: list[syntax.Binary] = []
    operand: syntax.Expr = expression
    while isinstance(operand, syntax.Binary):
        spine.append(operand)
        operand = operand.left
    value = dim_of_syntax(operand, sizes)
    for binary in reversed(spine):
        right = dim_of_syntax(binary.right, sizes)
        result: DimLike | None = None
        match binary.operator:
            case "+":
                result = add(value, right)
            case "-":
                result = add(value, multiply(right, -1))
            case "*":
                result = multiply(value, right)
            case "/":
                result = divide_exactly(value, right)
            case "^" if isinstance(right, int) and 0 <= right <= 16:
                result = power(value, right)
        if result is None:
            raise _no_size(binary)
        value = result
    return value


class Scope(Protocol):
    """What a notation reader asks of the place where the notation stands."""

    def operand(self, expression: syntax.Expr) -> int:
        """The number of the operand that an expression without letters stands for."""
        ...

    def operand_type(self, number: int) -> TensorType: ...

    def scalar(self, expression: syntax.Expr) -> Scalar | None:
        """What an expression without letters is if it is a plain number or size."""
        ...

    def size(self, name: str) -> DimLike | None:
        """The size called `name`, if there is one."""
        ...

    def extent(self, expression: syntax.Expr) -> DimLike: ...

    def function(self, name: str) -> syntax.Def | None:
        """A function of the program that may be called on scalars."""
        ...


@dataclass
class Reader:
    """Reads expressions with letters; `letters` are those in scope, `values` names that stand for scalars."""

    scope: Scope
    letters: set[str]
    values: dict[str, Scalar] = field(default_factory=dict)
    extents: dict[str, DimLike] = field(default_factory=dict)
    spans: dict[Scalar, Span] = field(default_factory=dict)
    batch: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    depth: int = 0
    sizes: dict[int, int] = field(default_factory=dict)  # scalars in a scalar, by its id
    kept: list[Scalar] = field(default_factory=list)
    summed: set[str] = field(default_factory=set)  # letters of the sums so far
    taken: Callable[[], Iterable[str]] = tuple  # names that a renamed letter must not take

    def read(self, expression: syntax.Expr) -> Scalar:
        if self.depth > MAX_DEPTH:
            raise fail(
                "E0902",
                "this index expression is nested too deeply",
                expression.span,
                help="give parts of it names, in index statements of their own",
            )
        self.depth += 1
        try:
            scalar = self._read(expression)
        finally:
            self.depth -= 1
        self.sizes[id(scalar)] = size = 1 + sum(self.sizes.get(id(child), 1) for child in children(scalar))
        if size > MAX_SCALARS:
            raise fail(
                "E0902",
                "this index expression grows too large",
                expression.span,
                help="functions that use an argument twice double at every call; give parts names, in index "
                "statements of their own",
            )
        self.kept.append(scalar)  # so that its id is its own
        self.spans.setdefault(scalar, expression.span)
        return scalar

    def _read(self, expression: syntax.Expr) -> Scalar:
        match expression:
            case syntax.Number(value=value):
                return Literal.of(value)
            case syntax.Name():
                return self._name(expression)
            case syntax.Unary(operator="+", operand=operand):
                return self.read(operand)
            case syntax.Unary(operator="-", operand=operand):
                return applied("neg", (self.read(operand),))
            case syntax.Unary(operator=operator, operand=operand):
                return Apply(OPERATORS[operator, 1].name, (self.read(operand),))
            case syntax.Binary(operator=operator, left=left, right=right) if (operator, 2) in OPERATORS:
                return applied(OPERATORS[operator, 2].name, (self.read(left), self.read(right)))
            case syntax.Conditional(then=then, condition=condition, other=other):
                return Apply("select", (self.read(condition), self.read(then), self.read(other)))
            case syntax.Reduce():
                return self._reduce(expression)
            case syntax.Subscript():
                return self._subscript(expression)
            case syntax.Call():
                return self._call(expression)
        if self.mentions_letters(expression):
            raise fail(
                "E0507",
                "index letters cannot reach into this expression",
                Label(expression.span, "this works on whole arrays"),
                help="write what it does to single entries, as in `sum[k](A[i, k] * B[k, j])`, "
                "or give the array a name first and index that",
            )
        return self._whole(expression)

    def _whole(self, expression: syntax.Expr) -> Scalar:
        """An expression without letters: it must be a scalar to be used as one."""
        plain = self.scope.scalar(expression)
        if plain is not None:
            return plain
        number = self.scope.operand(expression)
        rank = self.scope.operand_type(number).rank
        if rank:
            text = expression.span.text
            slots = ", ".join("ijklmnpq"[:rank]) if rank <= 8 else "..."
            raise fail(
                "E0503",
                f"`{text}` has {rank} {'axis' if rank == 1 else 'axes'} and no index here",
                Label(expression.span, f"this is {self.scope.operand_type(number)}"),
                help=f"index it, as in `{text}[{slots}]`" if len(text) < 30 else None,
            )
        return Access(number, ())

    def _name(self, expression: syntax.Name) -> Scalar:
        name = expression.name
        if name in self.letters:
            return LetterValue(self.renamed.get(name, name))
        if name in self.values:
            return self.values[name]
        size = self.scope.size(name)
        if size is not None:
            return size_scalar(size)
        if name in CONSTANTS:
            return Literal.of(CONSTANTS[name])
        return self._whole(expression)

    def _call(self, call: syntax.Call) -> Scalar:
        if not any(self.mentions_letters(a) for a in [*call.arguments, *(k.value for k in call.keywords)]):
            return self._whole(call)
        name = call.function.name if isinstance(call.function, syntax.Name) else ""
        definition = self.scope.function(name)
        if definition is not None:
            return self._call_defined(call, definition)
        function = SCALARS.get(name)
        if name in ("min", "max") and len(call.arguments) == 2:
            function = SCALARS[name + "imum"]
        if function is None:
            raise fail(
                "E0508",
                f"`{name or call.function.span.text}` is not a function of scalars",
                Label(call.function.span, "its arguments have index letters, so they are single entries here"),
                help=_WRITTEN_OUT.get(name, "apply it to whole arrays outside of the index notation"),
            )
        if call.keywords:
            raise fail("E0304", f"`{name}` has no option `{call.keywords[0].name}`", call.keywords[0].span)
        if len(call.arguments) != function.arity:
            raise fail(
                "E0302",
                f"`{name}` takes {function.arity} argument{'s' * (function.arity != 1)}, not {len(call.arguments)}",
                call.span,
            )
        return Apply(function.name, tuple(self.read(a) for a in call.arguments))

    def _call_defined(self, call: syntax.Call, definition: syntax.Def) -> Scalar:
        """A function of the program on scalars: its statements are read in place."""
        if call.keywords or len(call.arguments) != len(definition.parameters):
            raise fail(
                "E0302",
                f"`{definition.name.name}` takes {len(definition.parameters)} arguments, not {len(call.arguments)}",
                Label(call.span),
                Label(definition.name.span, "defined here"),
            )
        for parameter in definition.parameters:
            if parameter.type is not None and parameter.type.dims:
                raise fail(
                    "E0508",
                    f"`{definition.name.name}` works on arrays, but is given single entries here",
                    Label(call.span),
                    Label(parameter.span, "this parameter has axes"),
                )
        values = {p.name.name: self.read(a) for p, a in zip(definition.parameters, call.arguments, strict=True)}
        outer = self.values, self.letters
        self.values, self.letters = values, set()
        try:
            for statement in definition.body:
                match statement:
                    case syntax.Return(value=value):
                        return self.read(value)
                    case syntax.Assign(targets=[syntax.Target(letters=None) as target], value=value):
                        self.values[target.name.name] = self.read(value)
                    case _:
                        break
        finally:
            self.values, self.letters = outer
        raise fail(
            "E0508",
            f"`{definition.name.name}` cannot be called on single entries",
            Label(call.span),
            Label(definition.name.span, "only assignments and a return may stand in such a function"),
        )

    def _reduce(self, reduce: syntax.Reduce) -> Scalar:
        reducer = REDUCERS.get(reduce.operator)
        if reducer is None:
            raise fail("E0508", f"`{reduce.operator}` does not reduce over letters", reduce.span)
        if reduce.operator.startswith("arg") and len(reduce.letters) != 1:
            raise fail(
                "E0509",
                f"`{reduce.operator}` runs over one letter",
                reduce.span,
                help=f"give an array a name, and take `{reduce.operator}(vec(A))` for a position in all of it",
            )
        bound: list[str] = []
        outer, names = set(self.letters), dict(self.renamed)
        for letter in reduce.letters:
            if letter.name in outer or letter.name in bound:
                raise fail(
                    "E0502",
                    f"index letter `{letter.name}` is bound twice",
                    Label(letter.span, "bound again here"),
                    help=f"use another letter, as in `{reduce.operator}[{fresh(letter.name, outer)}]`",
                )
            bound.append(letter.name)
            # two sums may use the same letter one after the other: inside the formula each has its own name
            own = letter.name
            if own in self.extents or own in self.summed:
                own = fresh(own, {*self.taken(), *self.summed, *self.extents, *outer})
            self.summed.add(own)
            self.renamed[letter.name] = own
            if letter.extent is not None:
                self.extents[own] = self.scope.extent(letter.extent)
        self.letters = outer | set(bound)
        guard = self.read(reduce.guard) if reduce.guard is not None else None
        body = self.read(reduce.body)
        letters = tuple(self.renamed[name] for name in bound)
        self.letters, self.renamed = outer, names
        return Reduction(reduce.operator, letters, guard, body)

    def _subscript(self, subscript: syntax.Subscript) -> Scalar:
        if not self.mentions_letters(subscript):
            return self._whole(subscript)
        if self.mentions_letters(subscript.base):
            raise fail(
                "E0507",
                "index letters cannot reach into this expression",
                subscript.base.span,
                help="index each array with all of its letters at once, as in `A[i, j]`",
            )
        number = self.scope.operand(subscript.base)
        type = self.scope.operand_type(number)
        indices: list[Scalar | Composed] = []
        explicit = sum(not isinstance(item, syntax.Dots) for item in subscript.items)
        for item in subscript.items:
            match item:
                case syntax.Dots():
                    indices.extend(self._batch_indices(type.dims[: type.rank - explicit]))
                case syntax.Composed(letters=letters):
                    indices.append(Composed(tuple(self.renamed.get(n.name, n.name) for n in letters)))
                case syntax.Slice():
                    raise fail(
                        "E0504",
                        "a slice cannot stand beside index letters",
                        item.span,
                        help="give this axis a letter too, or slice the array before, under a name of its own",
                    )
                case _:
                    indices.append(self._index(item))
        if len(indices) != type.rank:
            raise fail(
                "E0504",
                f"`{subscript.base.span.text}` has {type.rank} {'axis' if type.rank == 1 else 'axes'}, "
                f"but {len(indices)} {'index is' if len(indices) == 1 else 'indices are'} given",
                Label(subscript.span, f"`{subscript.base.span.text}` is {type}"),
            )
        pad = self.read(subscript.pad) if subscript.pad is not None else None
        return Access(number, tuple(indices), pad)

    def _index(self, item: syntax.Expr) -> Scalar:
        scalar = self.read(item)
        kind = scalar_dtype(scalar, [self.scope.operand_type(n).dtype for n in range(self.operand_count)])
        if kind.kind != "i":
            raise fail("E0505", f"an index must be an integer, but this is {kind}", item.span)
        return scalar

    @property
    def operand_count(self) -> int:
        count = 0
        try:
            while True:
                self.scope.operand_type(count)
                count += 1
        except IndexError:
            return count

    def _batch_indices(self, dims: Sequence[DimLike]) -> list[Scalar]:
        """One index per batch axis: its letter, or 0 where a size of 1 stretches."""
        letters = self.batch[len(self.batch) - len(dims) :]
        if len(letters) < len(dims):
            raise IndexError
        return [
            Literal("0") if dim == 1 and self.extents[letter] != 1 else LetterValue(letter)
            for letter, dim in zip(letters, dims, strict=True)
        ]

    def mentions_letters(self, expression: object) -> bool:
        """Whether a letter (or a name that stands for a scalar) occurs in the expression."""
        stack = [expression]
        while stack:
            item = stack.pop()
            match item:
                case syntax.Name(name=name):
                    if name in self.letters or name in self.values:
                        return True
                case syntax.Dots() | syntax.Composed():
                    return True
                case list() | tuple():
                    stack.extend(item)
                case _ if hasattr(item, "__slots__") and not isinstance(item, (Span, str)):
                    stack.extend(getattr(item, slot) for slot in type(item).__slots__ if slot != "span")
        return False


# What to write with index letters in place of functions of arrays.
_WRITTEN_OUT = {
    "dot": "write the sum out, as in `sum[k](X[i, k] * Y[j, k])`",
    "norm": "write the sum out, as in `sqrt(sum[k](X[i, k]^2))`",
    "sum": "name the letter that is summed over, as in `sum[k](X[i, k])`",
    "mean": "name the letter, as in `mean[k](X[i, k])`",
    "trace": "write the sum out, as in `sum[k](A[i, k, k])`",
    **dict.fromkeys(DTYPES, "numbers of all formats mix here: write `1.0 * i` for a real number; convert whole arrays"),
}


def fresh(name: str, taken: Iterable[str]) -> str:
    """A name like `name` that is not taken."""
    taken = set(taken)
    for other in "ijklmnpqrstuvwxyzabcdefgh":
        if other not in taken and other != name:
            return other
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"
