"""A rule at certain kinds of shapes, as programs that can be evaluated on random operands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tpc.dsl import syntax
from tpc.dsl.format import format_expression
from tpc.dsl.parser import parse_expression
from tpc.dsl.source import Source
from tpc.ir.dims import DimLike, dim_text, evaluate, named
from tpc.ir.facts import FACTS, satisfies
from tpc.ir.node import Fact, Program
from tpc.ir.reference import Domain
from tpc.passes.rules import BOUNDED, Law, is_entrywise, kind_of
from tpc.passes.rules.checker.draw import Numbers, draw
from tpc.passes.rules.checker.expression import IN_FLOATS, Doubtful, Expression, Undefined
from tpc.passes.rules.shapes import Shapes, Untyped, infer, is_size, sides
from tpc.passes.rules.trees import called, rebuild, walk

SIGNS = {">": "positive", ">=": "nonnegative", "<": "negative", "<=": "nonpositive", "!=": "nonzero"}
SIGNLESS = {"symmetric", "nonsingular", "full_rank", "lower", "upper", "diagonal", "orthogonal", "nonzero"}
NO_AXIS = "all axes"
ROUNDING = 1e-9  # what is nearer to zero may be zero


@dataclass
class Point:
    """Operands in the order of the variables, and the sizes; `many` points at once, if they are floats."""

    sizes: dict[str, int]
    arrays: list[Any]
    domain: Domain
    many: bool = False

    def part(self, which: Any) -> Point:
        """Some of many points, or one."""
        import numpy as np

        return replace(self, arrays=[a[which] for a in self.arrays], many=np.ndim(which) > 0)


@dataclass
class Setting:
    """A rule with shapes for its variables.

    Attributes
    ----------
    where : sequence of expressions
        Its conditions, or others that are tried in their place.
    axis : object
        What the options stand for.
    """

    law: Law
    where: Sequence[syntax.Expr]
    rank: int = 1
    axis: Any = -1
    shapes: Shapes = field(init=False)
    facts: dict[str, dict[str, list[syntax.Expr]]] = field(init=False)
    guards: list[tuple[syntax.Expr, Expression]] = field(init=False)
    relations: list[syntax.Expr] = field(init=False)
    entrywise: bool = field(init=False)
    promised: dict[str, tuple[str, bool]] = field(init=False)

    def __post_init__(self) -> None:
        self.shapes = infer(self.law, self.where, self.rank)
        self.facts = {name: {} for name in self.shapes.variables}
        self.guards, self.relations = [], []
        self.entrywise = is_entrywise(self.law)
        self.promised = dict(sorted(_promises(self.law), key=lambda promise: promise[1][1]))
        for condition in self.where:
            self._sort(condition)

    def _sort(self, condition: syntax.Expr) -> None:
        """Facts of variables are drawn; of expressions, they are guards, which points have to pass."""
        match condition:
            case syntax.Call(function=syntax.Name(name="square")):
                return
            case syntax.Call(function=syntax.Name(name=name)) if name == BOUNDED:
                return
            case syntax.Call(function=syntax.Name(name=fact), arguments=[syntax.Name(name=name), *rest]):
                self.facts[name][fact] = rest
            case syntax.Call(arguments=[about, *_]):
                self.guards.append((condition, self.expression(about)))
            case syntax.Binary() if is_size(condition):
                self.relations.append(condition)
            case syntax.Binary(operator=sign, left=syntax.Name(name=name), right=syntax.Number(value=0)):
                self.facts[name][SIGNS[sign]] = []
            case syntax.Binary(left=left, right=right):
                difference = syntax.Binary(condition.span, "-", left, right)
                self.guards.append((condition, self.expression(difference)))
            case _:
                raise Untyped(f"`{condition.span.text}` is no condition")

    # ---- programs

    def expression(self, expression: syntax.Expr) -> Expression:
        """An expression over the variables as a program.

        Raises
        ------
        Untyped
            If it does not fit the shapes.
        """
        from tpc.ir.elaborate.module import check

        lines: list[str] = []
        value = format_expression(rebuild(expression, lambda part: self._spelled(part, lines)))
        body = "".join(f"    {line}\n" for line in dict.fromkeys([*lines, f"return {value}"]))
        checked = check(Source(f"def side({', '.join(self._parameters())}):\n{body}", "rule"))
        if checked.diagnostics.errors:
            raise Untyped(checked.diagnostics.errors[0].title)
        program = checked.programs["side"]
        needs = [(n.op.needs.split("(")[0], n.args[0]) for n in program.nodes if n.op.needs]
        needs += [(IN_FLOATS[n.op.name], n.args[0]) for n in program.nodes if n.op.name in IN_FLOATS]
        outputs = [*program.outputs, *(operand for _, operand in needs)]
        return Expression(Program("side", program.inputs, outputs), [fact for fact, _ in needs])

    def _parameters(self) -> list[str]:
        def type_text(dims: Sequence[DimLike]) -> str:
            return f"f64[{', '.join(map(dim_text, dims))}]" if dims else "f64"

        found = [f"{name}: {type_text(dims)}" for name, dims in self.shapes.variables.items()]
        return found + [f"size_{name}: f64[{name}]" for name in self._hidden()]

    def _hidden(self) -> list[str]:
        """Sizes that are no extent of a variable; a parameter of its own makes each known."""
        plain = {dim for dims in self.shapes.variables.values() for dim in dims}
        return [name for name in self.shapes.free if named(name) not in plain]

    def _spelled(self, part: Any, lines: list[str]) -> Any:
        """A piece as the language has it: sizes in terms of shapes, axes, one of several results by its own name."""
        from tpc.ir.ops import OPS

        match part:
            case syntax.Name(name=name) if name in self.shapes.sizes:
                return parse_expression(f"({dim_text(self.shapes.sizes[name])})")
            case syntax.Call(keywords=[*keywords]):
                kept = [k for k in (self._option(k) for k in keywords) if k is not None]
                return syntax.Call(part.span, part.function, part.arguments, kept)
            case syntax.Subscript(base=syntax.Call() as call, items=[syntax.Number(value=int() as place)]):
                op = OPS[called(call)]
                if len(op.syntax.results) > 1:
                    text = format_expression(call)
                    names = [f"result{sum(map(ord, text))}_{n}" for n in range(len(op.syntax.results))]
                    if place >= len(names):
                        raise Untyped(f"`{op.name}` has {len(names)} results")
                    lines.append(f"{', '.join(names)} = {text}")
                    return syntax.Name(part.span, names[place])
        return part

    def _option(self, keyword: syntax.Keyword) -> syntax.Keyword | None:
        if isinstance(keyword.value, syntax.Name) and kind_of(keyword.value.name) == "option":
            if self.axis == NO_AXIS:
                return None
            return syntax.Keyword(keyword.span, keyword.name, parse_expression(str(self.axis)))
        return keyword

    # ---- points

    def size(self, expression: syntax.Expr, sizes: Mapping[str, int]) -> int:
        """A size expression, at given sizes."""
        match expression:
            case syntax.Number(value=int() as value):
                return value
            case syntax.Name(name=name):
                return evaluate(self.shapes.sizes.get(name, named(name)), sizes)
            case syntax.Call(function=syntax.Name(name=which), arguments=[syntax.Name(name=name)]):
                return evaluate(self.shapes.variables[name][0 if which == "rows" else 1], sizes)
            case syntax.Binary(operator="+" | "-" | "*" as operator, left=left, right=right):
                a, b = self.size(left, sizes), self.size(right, sizes)
                return a + b if operator == "+" else a - b if operator == "-" else a * b
        raise Untyped(f"`{expression.span.text}` is no size")

    def allows(self, sizes: Mapping[str, int]) -> bool:
        """Whether the relations of sizes hold, and no extent is negative."""
        for name, dims in self.shapes.variables.items():
            extents = [evaluate(dim, sizes) for dim in dims]
            if min(extents, default=0) < 0 or ("orthonormal" in self.facts[name] and extents[0] < extents[1]):
                return False
        return all(
            _relates(r.operator, self.size(r.left, sizes), self.size(r.right, sizes))
            for r in self.relations
            if isinstance(r, syntax.Binary)
        )

    def point(self, numbers: Numbers, sizes: dict[str, int], domain: Domain, plain: bool) -> Point | None:
        """Random operands that meet the conditions, or None where the draw does not meet them."""
        arrays: list[Any] = []
        for name, dims in self.shapes.variables.items():
            shape = [evaluate(dim, sizes) for dim in dims]
            facts = {f: tuple(self.size(a, sizes) for a in rest) for f, rest in self.facts[name].items()}
            if plain and len(set(dims)) == 1 and name in self.promised and facts.keys() <= {"diagonal", "symmetric"}:
                fact, is_alone = self.promised[name]
                facts = {**facts, fact: ()} if is_alone or numbers.chance(0.5) else facts
            array = draw(numbers, shape, facts, plain or numbers.chance(0.3), self.entrywise)
            if array is None:
                return None
            arrays.append(array if plain else self._repeated(numbers, name, arrays, array))
        arrays += [numbers.random(sizes[name]) for name in self._hidden()]
        point = Point(sizes, arrays, domain, numbers.many is not None and not numbers.prime)
        if not self._has_facts(point):
            return None
        try:
            for condition, guard in self.guards:
                holds = self.holds(condition, guard, point)
                if not holds.any():
                    return None
                point = point.part(holds) if point.many else point
        except (Undefined, Doubtful):
            return None
        return point

    def _repeated(self, numbers: Numbers, name: str, arrays: list[Any], array: Any) -> Any:
        """The array, or now and then an earlier one of its shape: rules must not take operands to be different."""
        import numpy as np

        alike = [a for other, a in zip(self.facts, arrays) if self.facts[name] == self.facts[other]]
        fitting = [a for a in alike if np.shape(a) == np.shape(array)]
        if not fitting or not numbers.chance(0.15):
            return array
        odd = not self.facts[name].keys() - SIGNLESS and numbers.chance(0.5)
        return -numbers.choice(fitting) if odd else numbers.choice(fitting)

    def _has_facts(self, point: Point) -> bool:
        """Whether what was drawn has the facts; this catches combinations that drawing does not know."""
        import numpy as np

        if not point.domain.is_float:
            return True
        for facts, array in zip(self.facts.values(), point.arrays):
            for fact, rest in facts.items():
                arguments = tuple(self.size(a, point.sizes) for a in rest)
                if fact in FACTS and satisfies(np, np.asarray(array, float), Fact(fact, arguments)) is not None:
                    return False
        return True

    def admits(self, point: Point) -> bool:
        """Whether entries that were put in by hand meet the signs that are asked for, and the guards."""
        import numpy as np

        for facts, array in zip(self.facts.values(), point.arrays):
            x = np.asarray(array)
            meets = {"positive": x > 0, "nonnegative": x >= 0, "negative": x < 0, "nonpositive": x <= 0}
            meets["nonzero"] = x != 0
            if not all(bool(np.all(meets[fact])) for fact in facts if fact in meets):
                return False
        return all(self.holds(condition, guard, point) for condition, guard in self.guards)

    def holds(self, condition: syntax.Expr, guard: Expression, point: Point) -> Any:
        """Whether a condition on an expression holds (marks, for many points).

        Modulo a prime, order means nothing: only zero does.
        """
        import numpy as np

        if not point.many:
            value = guard.value(point.arrays, point.sizes, point.domain)
            return np.asarray(self._meets(np, condition, value, point))
        values, sure = guard.values(point.arrays, point.sizes, point.domain)
        if isinstance(condition, syntax.Call) and not satisfies(np, values[sure], self._asked(condition, point)):
            return sure
        return sure & np.array([self._meets(np, condition, value, point) for value in values], bool)

    def _asked(self, condition: syntax.Call, point: Point) -> Fact:
        return Fact(called(condition), tuple(self.size(a, point.sizes) for a in condition.arguments[1:]))

    def _meets(self, np: Any, condition: syntax.Expr, value: Any, point: Point) -> bool:
        if isinstance(condition, syntax.Binary):
            if not point.domain.is_float:
                return condition.operator in (">=", "<=") or bool(np.all(value != 0))
            sign = SIGNS[condition.operator]
            above = value if sign in ("positive", "nonnegative") else -value
            if sign == "nonzero":
                return bool(np.all(np.abs(value) > ROUNDING))
            return bool(np.all(above >= 0 if sign.startswith("non") else above > ROUNDING))
        assert isinstance(condition, syntax.Call)
        if point.domain.is_float:
            return satisfies(np, value, self._asked(condition, point)) is None
        return _holds_exactly(np, called(condition), value)


def _promises(law: Law) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Facts without which a side is rarely defined, so that plain operands have them: names and facts.

    With each, whether it is asked of the operand alone: one in a product comes without it as well.
    """
    from tpc.ir.ops import OPS

    for part in (part for side in sides(law) for part in walk(side)):
        op = OPS.get(called(part))
        if op is None:
            continue
        fact = "spd" if IN_FLOATS.get(op.name) == "root" else op.needs.split("(")[0]
        if fact in ("spd", "symmetric"):
            is_alone = isinstance(part.arguments[0], syntax.Name)
            yield from ((name, (fact, is_alone)) for name in _matrices(part.arguments[0]))
    for condition in law.where:
        if called(condition) in ("spd", "symmetric"):
            assert isinstance(condition, syntax.Call)
            yield from ((name, (called(condition), True)) for name in _matrices(condition.arguments[0]))


def _matrices(expression: syntax.Expr) -> list[str]:
    names = {part.name for part in walk(expression) if isinstance(part, syntax.Name)}
    return sorted(name for name in names if kind_of(name) == "matrix")


def _holds_exactly(np: Any, fact: str, value: Any) -> bool:
    from tpc.ir.ops.elimination import rank

    if value.ndim < 2:
        return bool(np.all(value != 0)) if fact in ("positive", "nonzero") else True
    if fact in ("symmetric", "spd", "psd") and not np.all(value == value.T):
        return False
    if fact in ("nonsingular", "spd", "full_rank"):
        return bool(rank(value) == min(value.shape))
    return True


def _relates(relation: str, a: int, b: int) -> bool:
    return {"==": a == b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "!=": a != b}[relation]
