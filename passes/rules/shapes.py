"""The sizes of the variables of a rule, found by unification through the lines of the ops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from tpc.dsl import syntax
from tpc.ir.dims import Dim, DimLike, named, names_of, product, substitute
from tpc.ir.op import Misfit, Op
from tpc.ir.types import F64, TensorType
from tpc.passes.rules import is_entrywise, kind_of
from tpc.passes.rules.trees import called, walk

Shape = tuple[DimLike, ...]
RANKS = {"matrix": 2, "vector": 1, "scalar": 0}


class Untyped(Exception):
    """The sizes of a rule do not fit together."""


@dataclass(frozen=True)
class Shapes:
    """The shapes of variables, and what its own sizes are in terms of them. `free` are the sizes left open."""

    variables: dict[str, Shape]
    sizes: dict[str, DimLike]

    @property
    def free(self) -> tuple[str, ...]:
        dims = [d for shape in self.variables.values() for d in shape] + list(self.sizes.values())
        return tuple(sorted({name for d in dims for name in names_of(d)}))


def sides(law: syntax.Rule | syntax.RuleFact) -> list[syntax.Expr]:
    """The two sides of a rule, or the value that a fact is about."""
    if isinstance(law, syntax.Rule):
        return [law.left, law.right]
    assert isinstance(law.conclusion, syntax.Call), law.conclusion.span.text
    return law.conclusion.arguments[:1]


def infer(law: syntax.Rule | syntax.RuleFact, where: Sequence[syntax.Expr] | None = None, rank: int = 1) -> Shapes:
    """The shapes under which a rule makes sense.

    Parameters
    ----------
    where : sequence of expressions, optional
        Conditions in place of the rule's own.
    rank : int
        The number of axes that the arrays of an entrywise rule have.

    Raises
    ------
    Untyped
        If there are none.
    """
    conditions = law.where if where is None else where
    both = sides(law)
    found = _infer(law, both, conditions, rank)
    # a rule is matched from one side: what that side and the conditions leave open, the other must not narrow
    for side in both if isinstance(law, syntax.Rule) and law.arrow == "<=>" else both[:1]:
        alone = _infer(law, [side], conditions, rank)
        if len(alone.free) > len([name for name in found.free if name not in _own(found, alone)]):
            raise Untyped("one side needs sizes to be equal that the other and the conditions leave open")
    return found


def _own(found: Shapes, alone: Shapes) -> set[str]:
    """Sizes that only variables and names outside of one side have."""
    inside = [d for name in alone.variables for d in found.variables[name]]
    inside += [found.sizes[name] for name in alone.sizes]
    return set(found.free) - {name for d in inside for name in names_of(d)}


def _infer(
    law: syntax.Rule | syntax.RuleFact, parts: Sequence[syntax.Expr], where: Sequence[syntax.Expr], rank: int
) -> Shapes:
    unifier = _Unifier(rank if is_entrywise(law) else None)
    unifier.reduced = is_reducing(law)
    shapes = [unifier.shape(part) for part in parts]
    if isinstance(law, syntax.RuleFact) and isinstance(law.conclusion, syntax.Call):
        for argument in law.conclusion.arguments[1:]:
            unifier.dim(argument)
    if len(shapes) == 2:
        unifier.same(shapes[0], shapes[1])
    for condition in where:
        unifier.condition(condition)
    return unifier.solved(alike=len(parts) == len(sides(law)))


def is_reducing(law: syntax.Rule | syntax.RuleFact) -> bool:
    """Whether an op of the rule works along axes; scalars are then not entries of arrays."""
    from tpc.ir.ops import OPS

    names = {called(part) for side in sides(law) for part in walk(side)}
    return any(OPS[name].group in ("reductions", "layers") for name in names if name in OPS)


class _Unifier:
    def __init__(self, rank: int | None) -> None:
        self.rank, self.reduced = rank, False
        self.bound: dict[str, DimLike] = {}
        self.variables: dict[str, Shape] = {}
        self.sizes: set[str] = set()
        self.pending: list[tuple[DimLike, DimLike]] = []
        self.numbers = count()

    # ---- unification

    def fresh(self) -> Dim:
        return named(f"_{next(self.numbers)}")

    def resolve(self, dim: DimLike) -> DimLike:
        while names_of(dim) & self.bound.keys():
            dim = substitute(dim, self.bound)
        return dim

    def equal(self, a: DimLike, b: DimLike) -> None:
        a, b = self.resolve(a), self.resolve(b)
        if a == b:
            return
        # generated names give way to those that the rule uses
        for one, other in sorted(((a, b), (b, a)), key=lambda pair: not str(pair[0]).startswith("_")):
            if isinstance(one, Dim) and names_of(one) == {str(one)} and str(one) not in names_of(other):
                self.bound[str(one)] = other
                return
        if not names_of(a) and not names_of(b):
            raise Untyped(f"{a} is not {b}")
        # n + p is n + q where p is q
        left, right = names_of(a - b) & names_of(a), names_of(a - b) & names_of(b)
        if len(left) == len(right) == 1 and names_of(a - b) != names_of(a) | names_of(b):
            self.equal(named(left.pop()), named(right.pop()))
            if self.resolve(a) == self.resolve(b):
                return
        self.pending.append((a, b))

    def same(self, a: Shape, b: Shape) -> Shape:
        """Unify two shapes as elementwise ops do: they are aligned at the right, and scalars and 1 stretch."""
        longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
        result = list(longer)
        for place, dim in enumerate(shorter, len(longer) - len(shorter)):
            if dim == 1 or result[place] == 1:
                result[place] = result[place] if dim == 1 else dim
            else:
                self.equal(result[place], dim)
        return tuple(result)

    def solved(self, alike: bool) -> Shapes:
        """The shapes; joined axes that must be equal are taken to group alike, if that is asked for."""
        for _ in range(3):
            pending, self.pending = self.pending, []
            for a, b in pending:
                self.equal(a, b)
        for a, b in self.pending if alike else []:
            left, right = sorted(names_of(a)), sorted(names_of(b))
            if self.resolve(a) != self.resolve(b) and len(left) == len(right):
                for one, other in zip(left, right):
                    self.equal(named(one), named(other))
            if self.resolve(a) != self.resolve(b) and "min(" not in f"{a} {b}":  # depends on relations of sizes
                raise Untyped(f"{a} is not known to be {b}")
        letters = (f for f in "nmkpqrglo" if f not in self.sizes)
        variables = {name: tuple(map(self.resolve, shape)) for name, shape in self.variables.items()}
        for name in dict.fromkeys(n for s in variables.values() for d in s for n in sorted(names_of(d))):
            if name.startswith("_"):
                self.bound[name] = named(next(letters))
        variables = {name: tuple(map(self.resolve, shape)) for name, shape in variables.items()}
        return Shapes(variables, {name: self.resolve(named(name)) for name in sorted(self.sizes)})

    # ---- expressions

    def variable(self, name: str) -> Shape:
        if name not in self.variables:
            kind = kind_of(name)
            assert kind is not None
            array = self.rank is not None and (kind == "vector" or (kind == "scalar" and not self.reduced))
            shape: Shape = tuple(self.fresh() for _ in range(self.rank or 0 if array else RANKS[kind]))
            if array:
                for other in self.variables.values():
                    if len(other) == len(shape):
                        shape = other
            self.variables[name] = shape
        return self.variables[name]

    def shape(self, expression: syntax.Expr) -> Shape:
        match expression:
            case syntax.Number():
                return ()
            case syntax.Name(name=name):
                if kind_of(name) == "size":
                    self.sizes.add(name)
                return self.variable(name) if kind_of(name) in RANKS else ()
            case syntax.Unary(operand=operand):
                return self.shape(operand)
            case syntax.Transpose(operand=operand):
                rows, columns = self.matrix(operand)
                return columns, rows
            case syntax.Binary(operator="@", left=left, right=right):
                return self.product(self.shape(left), self.shape(right))
            case syntax.Binary(left=left, right=right):
                return self.same(self.shape(left), self.shape(right))
            case syntax.Block(rows=rows):
                return self.block(rows)
            case syntax.Subscript(base=base, items=items):
                return self.part(base, items)
            case syntax.Call(function=syntax.Name(name=name)):
                return self.results(name, expression)[0]
        raise Untyped(f"`{expression.span.text}` has no place in a rule")

    def matrix(self, expression: syntax.Expr) -> tuple[DimLike, DimLike]:
        shape = self.shape(expression)
        if len(shape) != 2:
            raise Untyped(f"`{expression.span.text}` is no matrix")
        return shape[0], shape[1]

    def product(self, left: Shape, right: Shape) -> Shape:
        if not left or not right:
            raise Untyped("`@` of a scalar")
        self.equal(left[-1], right[0])
        return left[:-1] + right[1:]

    def block(self, rows: list[list[syntax.Expr]]) -> Shape:
        heights: dict[int, DimLike] = {}
        widths: dict[int, DimLike] = {}
        for y, row in enumerate(rows):
            for x, part in enumerate(row):
                if isinstance(part, syntax.Number):  # zeros of the size that fits
                    continue
                height, width = self.matrix(part)
                self.equal(heights.setdefault(y, height), height)
                self.equal(widths.setdefault(x, width), width)
        return sum(heights.values(), start=0), sum(widths.values(), start=0)

    def part(self, base: syntax.Expr, items: Sequence[object]) -> Shape:
        if isinstance(base, syntax.Call) and isinstance(base.function, syntax.Name):
            results = self.results(base.function.name, base)
            if len(results) > 1:
                assert isinstance(items[0], syntax.Number) and isinstance(items[0].value, int)
                return results[items[0].value]
        shape: list[DimLike] = []
        for item, dim in zip(items, self.shape(base), strict=True):
            if isinstance(item, syntax.Slice):
                start = 0 if item.start is None else self.dim(item.start)
                stop = dim if item.stop is None else self.dim(item.stop)
                shape.append(stop - start)
        return tuple(shape)

    def results(self, name: str, call: syntax.Call) -> list[Shape]:
        from tpc.ir.ops import OPS

        if name in ("rows", "cols"):
            return [()]
        if name == "concat":  # of vectors; those of matrices are blocks
            return [(sum((self.shape(part)[0] for part in call.arguments), start=0),)]
        op = OPS[name]
        if name in ("eye", "zeros", "ones"):
            dims = [self.dim(part) for part in call.arguments]
            return [tuple(dims * 2 if name == "eye" and len(dims) == 1 else dims)]
        tensors = call.arguments[: len(op.tensors)]
        shapes = [self.shape(part) for part in tensors]
        if op.group == "elementwise":
            result: Shape = ()
            for shape in shapes:
                result = self.same(result, shape)
            return [result]
        types = [TensorType(F64, [self.resolve(d) for d in shape]) for shape in shapes]
        try:
            if op.typing is not None or op.formula_by is not None or op.group == "layers":
                return [t.dims for t in op.types(types, {**op.options, **self.options(call)})]
            return self.by_line(op.at(types, {**op.options}), shapes, call.arguments[len(op.tensors) :])
        except Misfit as misfit:
            raise Untyped(misfit.title) from misfit

    def options(self, call: syntax.Call) -> dict[str, object]:
        """Options as far as they decide on shapes; an axis that the rule leaves open is the last."""
        found: dict[str, object] = {}
        for keyword in call.keywords:
            match keyword.value:
                case syntax.Name(name="true" | "false" as name):
                    found[keyword.name] = name == "true"
                case syntax.Name(name=name):
                    found[keyword.name] = -1 if kind_of(name) == "option" else name
                case syntax.Number(value=value):
                    found[keyword.name] = value
                case syntax.Unary(operator="-", operand=syntax.Number(value=int() as value)):
                    found[keyword.name] = -value
        return found

    def by_line(self, op: Op, shapes: list[Shape], rest: Sequence[syntax.Expr]) -> list[Shape]:
        """The results of an op whose line says how the axes of operands hang together."""
        from tpc.ir.notation import dim_of_syntax

        letters: dict[str, DimLike] = {}
        for parameter in op.syntax.parameters:
            for axis in parameter.items if isinstance(parameter, syntax.Subscript) else [parameter]:
                for letter in axis.letters if isinstance(axis, syntax.Composed) else [axis]:
                    if isinstance(letter, syntax.Name):
                        letters.setdefault(letter.name, self.fresh())

        def dim(axis: object) -> DimLike:
            if isinstance(axis, syntax.Composed):
                return product(letters[letter.name] for letter in axis.letters)
            return dim_of_syntax(axis, letters)  # type: ignore[arg-type]

        def axes(items: Sequence[object]) -> list[object]:
            return [axis for axis in items if not isinstance(axis, syntax.Dots)]

        given = iter(rest)
        operands = iter(shapes)
        for parameter in op.syntax.parameters:
            if isinstance(parameter, syntax.Subscript):
                fixed, shape = axes(parameter.items), next(operands)
                if len(fixed) != len(shape):
                    raise Untyped(f"`{op.name}` needs {len(fixed)} axes, not {len(shape)}")
                for place, extent in zip(fixed, shape, strict=True):
                    self.equal(dim(place), extent)
            else:
                self.equal(letters[parameter.name], self.dim(next(given)))
        return [tuple(self.resolve(dim(axis)) for axis in axes(items)) for items in op.syntax.results]

    def dim(self, expression: syntax.Expr) -> DimLike:
        """A size that the rule names."""
        match expression:
            case syntax.Number(value=int() as value):
                return value
            case syntax.Name(name=name) if kind_of(name) == "size":
                self.sizes.add(name)
                return self.resolve(named(name))
            case syntax.Call(function=syntax.Name(name="rows" | "cols" as name), arguments=[argument]):
                return self.matrix(argument)[0 if name == "rows" else 1]
            case syntax.Binary(operator="+" | "-" | "*" as operator, left=left, right=right):
                a, b = self.dim(left), self.dim(right)
                return a + b if operator == "+" else a - b if operator == "-" else a * b
        raise Untyped(f"`{expression.span.text}` is no size")

    # ---- conditions

    def condition(self, condition: syntax.Expr) -> None:
        """What a condition says of shapes."""
        from tpc.ir.facts import FACTS

        match condition:
            case syntax.Call(function=syntax.Name(name=name), arguments=[about, *_]):
                shape = self.shape(about)
                kind = FACTS.get(name)
                if name == "square" or (kind is not None and kind.of == "square"):
                    if len(shape) != 2:
                        raise Untyped(f"`{about.span.text}` is no matrix")
                    self.equal(shape[0], shape[1])
            case syntax.Binary(operator="==", left=left, right=right) if is_size(condition):
                self.equal(self.dim(left), self.dim(right))
            case syntax.Binary(left=left, right=right) if not is_size(condition):
                self.same(self.shape(left), self.shape(right))


def is_size(condition: syntax.Expr) -> bool:
    """Whether a relation is one of sizes."""
    return isinstance(condition, syntax.Binary) and all(_is_dim(e) for e in (condition.left, condition.right))


def _is_dim(expression: syntax.Expr) -> bool:
    match expression:
        case syntax.Number(value=value):
            return isinstance(value, int)
        case syntax.Name(name=name):
            return kind_of(name) == "size"
        case syntax.Call(function=syntax.Name(name="rows" | "cols")):
            return True
        case syntax.Binary(left=left, right=right):
            return _is_dim(left) and _is_dim(right)
    return False
