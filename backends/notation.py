"""Index notation to array code.

A scalar expression is turned into an array whose axes are the letters it depends on, in one fixed order: the letters
of the result, then those of the reductions around it. Values meet by broadcasting; a sum of products is a matrix
product or an einsum; an index that is no single letter becomes a slice, a reshape or a gather.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tpc.backends.access import Reader
from tpc.backends.code import Guards, Part, Value, fill, number, shape_source
from tpc.backends.dialect import Dialect, Scribe
from tpc.ir.dims import DimLike, product
from tpc.ir.formula import (
    Access,
    Apply,
    Composed,
    Formula,
    LetterValue,
    Literal,
    Reduction,
    Scalar,
    SizeValue,
    children,
    free_letters,
    walk,
)
from tpc.ir.scalar import REDUCERS
from tpc.ir.types import BF16, BOOL, F32, I64, INT, DType, as_float, promote_all


def formula_value(
    scribe: Scribe, dialect: Dialect, formula: Formula, operands: Sequence[Value], dims: Sequence[Sequence[DimLike]]
) -> Value:
    """The value that a formula means over operands of the given dims."""
    return _Translation(scribe, dialect, formula, operands, dims).result()


class _Translation:
    def __init__(
        self,
        scribe: Scribe,
        dialect: Dialect,
        formula: Formula,
        operands: Sequence[Value],
        dims: Sequence[Sequence[DimLike]],
    ) -> None:
        self.scribe, self.dialect, self.formula = scribe, dialect, formula
        self.operands, self.dims = operands, dims
        self.extents = dict(formula.extents)
        self.spelled: dict[str, str] = {}  # letters as they were written, by their new names
        self.body = self.renamed(formula.body, {})
        self.reader = Reader(self)
        self.known: dict[tuple[Scalar, tuple[str, ...], Guards], Part] = {}
        self.counts: dict[Scalar, int] = {}
        for scalar in walk(self.body):
            self.counts[scalar] = self.counts.get(scalar, 0) + 1

    def result(self) -> Value:
        """The array with all axes of the formula."""
        part = self._part(self.body, self.formula.letters, ())
        value = part.value
        if not self.formula.axes:
            return value
        letters = self.formula.letters
        if part.letters != letters:
            if value.python:
                shape = self.shape(self.formula.dims)
                dtype = value.dtype
                return Value(self.dialect.full(self.scribe, shape, value.text, dtype), dtype, len(self.formula.axes))
            value = self.stretched(part, letters)
        if any(len(axis) != 1 for axis in self.formula.axes):
            text = self.dialect.reshape(value.text, self.shape(self.formula.dims))
            value = Value(text, value.dtype, len(self.formula.axes), depth=value.depth + 1)
        return replace(value, rank=len(self.formula.axes))

    def renamed(self, scalar: Scalar, names: dict[str, str]) -> Scalar:
        """The scalar with bound letters named by how deep reductions nest inside, so that equal parts are equal."""
        match scalar:
            case LetterValue(name=name):
                return LetterValue(names.get(name, name))
            case Access(operand=operand, indices=indices, pad=pad):
                return Access(
                    operand,
                    tuple(
                        Composed(tuple(names.get(n, n) for n in i.letters))
                        if isinstance(i, Composed)
                        else self.renamed(i, names)
                        for i in indices
                    ),
                    None if pad is None else self.renamed(pad, names),
                )
            case Apply(function=function, arguments=arguments):
                return Apply(function, tuple(self.renamed(a, names) for a in arguments))
            case Reduction(operator=operator, letters=letters, guard=guard, body=body):
                height = _height(scalar)
                bound = {n: f"@{height}.{k}.{self.extents[n]}" for k, n in enumerate(letters)}
                self.extents.update({bound[n]: self.extents[n] for n in letters})
                self.spelled.update({bound[n]: n for n in letters})
                inner = {**names, **bound}
                return Reduction(
                    operator,
                    tuple(bound[n] for n in letters),
                    None if guard is None else self.renamed(guard, inner),
                    self.renamed(body, inner),
                )
        return scalar

    # ---- small things

    def extent(self, letter: str) -> str:
        return self.scribe.size(self.extents[letter])

    def shape(self, dims: Sequence[DimLike]) -> str:
        return shape_source([self.scribe.size(d) for d in dims])

    def aligned(self, part: Part, letters: Sequence[str]) -> str:
        """The text of a part with axes of size 1 put in, so that it broadcasts over these letters."""
        if not part.letters:
            return part.value.text
        first = letters.index(part.letters[0])
        rest = letters[first:]
        if tuple(rest) == part.letters:
            return part.value.text
        marks = ", ".join(":" if letter in part.letters else "None" for letter in rest)
        return fill("{0}[{marks}]", part.value.text, marks=marks)

    def stretched(self, part: Part, letters: Sequence[str]) -> Value:
        """The part as an array over exactly these letters."""
        if part.letters == tuple(letters):
            return part.value
        text = self.aligned(part, list(letters))
        shape = shape_source([self.extent(n) for n in letters])
        if part.value.python:
            text = self.dialect.full(self.scribe, shape, text, part.value.dtype)
        else:
            text = self.dialect.broadcast(text, shape)
        return Value(text, part.value.dtype, len(letters), depth=part.value.depth + 1)

    def union(self, parts: Sequence[Part], order: Sequence[str]) -> tuple[str, ...]:
        present = {letter for part in parts for letter in part.letters}
        return tuple(letter for letter in order if letter in present)

    def settled(self, part: Part) -> Part:
        """The part under a name if its text has grown long."""
        if part.value.depth >= 3 or len(part.value.text) > 70:
            return Part(self.scribe.named(part.value), part.letters)
        return part

    # ---- expressions

    def part(self, scalar: Scalar, order: tuple[str, ...], guards: Guards) -> Part:
        """The array of a scalar expression; where `guards` do not hold, indices may leave their axes."""
        free = free_letters(scalar).union(*map(free_letters, guards))
        order = tuple(n for n in order if n in free)
        key = (scalar, order, guards)
        if key in self.known:
            return self.known[key]
        part = self.settled(self._part(scalar, order, guards))
        if self.counts.get(scalar, 0) > 1 and not part.value.is_atom and not part.value.python:
            wanted = self.spelled.get(scalar.name, scalar.name) if isinstance(scalar, LetterValue) else ""
            part = Part(self.scribe.named(part.value, wanted), part.letters)
        self.known[key] = part
        return part

    def _part(self, scalar: Scalar, order: tuple[str, ...], guards: Guards) -> Part:
        match scalar:
            case Literal():
                return Part(self.dialect.literal(scalar))
            case SizeValue(dim=dim):
                return Part(Value(self.scribe.size(dim), INT, python=True))
            case LetterValue(name=name):
                text = self.dialect.arange(self.scribe, self.extent(name))
                return Part(Value(text, INT, 1, depth=1), (name,))
            case Access():
                return self.reader.read(scalar, order, guards)
            case Apply():
                parts = [self.part(a, order, guards) for a in scalar.arguments]
                return self.apply(scalar.function, parts, order)
            case Reduction():
                return self.reduce(scalar, order, guards)

    def apply(self, function: str, parts: Sequence[Part], order: Sequence[str]) -> Part:
        """A scalar function of parts that meet by broadcasting."""
        letters = self.union(parts, order)
        values = []
        for part in parts:
            text = self.aligned(part, letters)
            values.append(replace(part.value, text=text, rank=len(letters) if part.letters else 0))
        return Part(self.dialect.apply(self.scribe, function, values, len(letters)), letters)

    # ---- reductions

    def reduce(self, scalar: Reduction, order: tuple[str, ...], guards: Guards) -> Part:
        inner = (*order, *(n for n in scalar.letters if n not in order))
        if scalar.operator == "sum" and scalar.guard is None:
            found = self.contraction(scalar, inner, guards)
            if found is not None:
                return found
        if scalar.guard is not None:
            return self.guarded_reduction(scalar, inner, guards)
        return self.reduced(scalar.operator, self.part(scalar.body, inner, guards), scalar.letters, inner)

    def reduced(self, operator: str, part: Part, over: Sequence[str], order: Sequence[str]) -> Part:
        """A part reduced over letters."""
        wanted = tuple(n for n in order if n in part.letters or n in over)
        value = self.stretched(part, wanted)
        result = REDUCERS[operator].dtype(value.dtype)
        left = tuple(n for n in wanted if n not in over)
        if operator in ("mean", "logsumexp") and value.dtype.kind in "bi":
            value = self.dialect.cast(self.scribe, value, as_float(value.dtype))
        axes: tuple[int, ...] | None = tuple(wanted.index(n) for n in over)
        if REDUCERS[operator].result == "index" and len(over) > 1:  # the position in row-major order
            moved = [*(wanted.index(n) for n in left), *(wanted.index(n) for n in over)]
            shape = shape_source(
                [*(self.extent(n) for n in left), self.scribe.size(product(self.extents[n] for n in over))]
            )
            text = self.dialect.reshape(self.dialect.permute(value.text, moved), shape)
            value, axes = Value(text, value.dtype, len(left) + 1), (len(left),)
        elif not left:
            axes = None
        if operator == "logsumexp":
            value = self.scribe.named(value)
        text = self.dialect.reducers[operator](self.scribe, value, axes, False, result)
        return Part(Value(text, result, len(left), depth=value.depth + 1), left)

    def guarded_reduction(self, scalar: Reduction, order: tuple[str, ...], guards: Guards) -> Part:
        """A reduction that leaves out what its guard excludes: there stands the neutral value instead."""
        assert scalar.guard is not None
        guard = self.part(scalar.guard, order, guards)
        guard = Part(self.scribe.named(guard.value), guard.letters)
        body = self.part(scalar.body, order, (*guards, scalar.guard))
        operator = scalar.operator
        if operator == "mean":
            total = self.reduced("sum", self.masked(guard, body, 0, order), scalar.letters, order)
            whole = self.apply("select", [guard, Part(_number(1)), Part(_number(0))], order)
            count = self.reduced("sum", whole, scalar.letters, order)
            return self.apply("div", [total, count], order)
        neutral: bool | int | float
        if operator in ("argmax", "argmin") and body.value.dtype is BOOL:
            # as numbers, so that what is excluded is worse than either truth value
            body = Part(self.dialect.cast(self.scribe, body.value, I64), body.letters)
        kind = body.value.dtype.kind
        if operator in ("max", "argmax"):
            neutral = {"b": False, "i": -(2 ** (8 * body.value.dtype.size - 1))}.get(kind, float("-inf"))
        elif operator in ("min", "argmin"):
            neutral = {"b": True, "i": 2 ** (8 * body.value.dtype.size - 1) - 1}.get(kind, float("inf"))
        elif operator == "logsumexp":
            neutral = float("-inf")
        else:
            neutral = {"sum": 0, "prod": 1, "any": False, "all": True}[operator]
        if body.value.dtype is BOOL and operator in ("sum", "prod"):
            cast = self.dialect.cast(self.scribe, body.value, I64)
            body = Part(cast, body.letters)
        if operator == "logsumexp" and kind in "bi":
            body = Part(self.dialect.cast(self.scribe, body.value, as_float(body.value.dtype)), body.letters)
        return self.reduced(operator, self.masked(guard, body, neutral, order), scalar.letters, order)

    def masked(self, guard: Part, body: Part, neutral: bool | int | float, order: Sequence[str]) -> Part:
        return self.settled(self.apply("select", [guard, body, Part(_number(neutral))], order))

    # ---- contractions

    def contraction(self, scalar: Reduction, order: tuple[str, ...], guards: Guards) -> Part | None:
        """A sum of products as a matrix product or an einsum; None where it is a plain sum."""
        over = set(scalar.letters)
        factors = _factors(scalar.body)
        if sum(bool(free_letters(f) & over) for f in factors) < 2:
            return None
        if {n for f in factors for n in free_letters(f)} < over:
            return None
        parts = [self.factor(f, order, guards) for f in factors]
        common = promote_all(p.value.dtype for p in parts)
        if common is BOOL or common.is_weak:
            return None
        numbers = [p for p in parts if not p.letters]
        arrays = [p for p in parts if p.letters]
        if any(p.value.dtype is BOOL for p in arrays):
            return None
        met = [self.met(p, common) for p in arrays]
        left = tuple(n for n in self.union(arrays, order) if n not in over)
        text = self.matrix_product(met, left, over) if len(met) == 2 else None
        if text is None:
            names = {n: chr(ord("a") + k) for k, n in enumerate(dict.fromkeys(x for p in met for x in p.letters))}
            inputs = ",".join("".join(names[n] for n in p.letters) for p in met)
            subscripts = f"{inputs}->{''.join(names[n] for n in left)}"
            text = self.dialect.einsum(subscripts, [p.value.text for p in met])
        text = f"{self.scribe.helper('_bf16')}({text})" if common is BF16 and self.dialect.name == "numpy" else text
        result = Part(Value(text, common, len(left), depth=1 + max(p.value.depth for p in met)), left)
        for factor in numbers:
            result = self.apply("mul", [factor, result], order)
        return result

    def factor(self, scalar: Scalar, order: tuple[str, ...], guards: Guards) -> Part:
        """A factor of a contraction; an operand keeps its own order of axes."""
        if isinstance(scalar, Access):
            plain = self.reader.plain(scalar)
            if plain is not None:
                return plain
        return self.part(scalar, order, guards)

    def met(self, part: Part, common: DType) -> Part:
        held = F32 if common is BF16 and self.dialect.name == "numpy" else common
        if part.value.dtype in (common, held):
            return part
        return Part(self.dialect.cast(self.scribe, part.value, held), part.letters)

    def matrix_product(self, parts: list[Part], left: tuple[str, ...], over: set[str]) -> str | None:
        """`A @ B` where the letters allow it."""
        if len(over) != 1:
            return None
        (k,) = over
        for first, second in (parts, parts[::-1]):
            shared = [n for n in first.letters if n in second.letters and n != k]
            rows = [n for n in first.letters if n not in second.letters]
            columns = [n for n in second.letters if n not in first.letters]
            if len(rows) > 1 or len(columns) > 1 or left != (*shared, *rows, *columns):
                continue
            a = self._turned(first, shared, [*rows, k])
            b = self._turned(second, shared, [k, *columns])
            if a is not None and b is not None and (not shared or (rows and columns)):
                return fill("{0} @ {1}", a, b)
        return None

    def _turned(self, part: Part, batch: list[str], wanted: list[str]) -> str | None:
        if list(part.letters) == [*batch, *wanted]:
            return part.value.text
        if list(part.letters) == [*batch, *wanted[::-1]]:
            return self.dialect.swap(part.value.text) if batch else self.dialect.permute(part.value.text, (1, 0))
        return None


def _height(scalar: Scalar) -> int:
    """How deep reductions nest in a scalar."""
    inner = max((_height(c) for c in children(scalar)), default=0)
    return inner + isinstance(scalar, Reduction)


def _factors(scalar: Scalar) -> list[Scalar]:
    found: list[Scalar] = []
    stack = [scalar]
    while stack:
        item = stack.pop()
        if isinstance(item, Apply) and item.function == "mul":
            stack.extend(reversed(item.arguments))
        else:
            found.append(item)
    return found


def _number(value: bool | int | float) -> Value:
    return Value(number(value), Literal.of(value).dtype, python=True)
