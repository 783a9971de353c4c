"""How a function starts: sizes are found from the shapes of arguments, and shapes are held to the program's types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.backends.code import Lines, dim_source, number, shape_source
from tpc.backends.contract import Head
from tpc.backends.names import spelled
from tpc.ir.dims import Dim, DimLike, dim_text, multiply, names_of, product
from tpc.ir.dims import named as named_size
from tpc.ir.ops.sparse import sparse_inputs
from tpc.ir.ops.structure import LITERAL
from tpc.ir.types import STRONG, TensorType

if TYPE_CHECKING:
    from tpc.backends.function import Function


def parameter_list(function: Function) -> list[str]:
    """The parameters, the last of them with their defaults."""
    defaults = dict(function.program.defaults) if function.outermost else {}
    texts: list[str] = []
    for parameter, node in list(zip(function.parameters, function.program.inputs, strict=True))[::-1]:
        default = defaults.get(node["name"])
        if default is None or default.op is not LITERAL:
            defaults = {}
            texts.append(parameter)
        else:
            texts.append(f"{parameter}={number(default['value'].value)}")
    return texts[::-1]


def signature(function: Function) -> str:
    """The types of a function, for its docstring."""
    parts = []
    facts = dict(function.program.facts)
    for parameter, node in zip(function.parameters, function.program.inputs, strict=True):
        known = facts.get(node, ())
        declared = f" is {' and '.join(f.name for f in known)}" if known else ""
        parts.append(f"{parameter}: {type_text(node.tensor)}{declared}")
    results = [type_text(t) for t in function.program.result_types]
    given = results[0] if len(results) == 1 else f"({', '.join(results)})"
    return f"{function.name}({', '.join(parts)}) -> {given}"


def type_text(type: TensorType) -> str:
    """A type, with the names of sizes spelled as in the code."""
    dtype = STRONG.get(type.dtype, type.dtype)
    return f"{dtype}[{', '.join(dim_text(d, spelled) for d in type.dims)}]" if type.dims else dtype.name


def dim_name(dim: DimLike) -> str | None:
    """The name that a dim is, if it is no more than a name."""
    names = names_of(dim)
    return next(iter(names)) if len(names) == 1 and dim == named_size(min(names)) else None


class Opening:
    """The first lines of the outermost function of a module."""

    def __init__(self, function: Function) -> None:
        self.function, self.program = function, function.program
        self.sizes = function.sizes
        self.lines = Lines()
        self.bound: set[str] = set()
        inputs = list(zip(function.parameters, self.program.inputs, strict=True))
        self.arrays = [(p, n.tensor) for p, n in inputs if n.tensor.rank]
        sparse = sparse_inputs(self.program)
        self.kept = {p for p, n in inputs if n in sparse or n not in function.used}  # in the format they come in
        self.scalars = [
            (p, n.tensor.dtype)
            for p, n in inputs
            if not n.tensor.rank and not n.tensor.dtype.is_weak and n in function.used
        ]

    def write(self) -> list[str]:
        """The lines; sizes that no shape tells become keywords of the function."""
        needed = self.needed()
        for parameter, type in self.arrays:
            line = self.function.dialect.array_input(parameter, type.dtype)
            if line is not None and parameter not in self.kept:
                self.lines.write(line)
        unsolved = [(p, type) for p, type in self.arrays if not self.first_look(p, type, needed)]
        while any(self.solve(p, axis, dim) for p, type in unsolved for axis, dim in enumerate(type.dims)):
            pass
        wanted = [*sorted({n for _, t in unsolved for d in t.dims for n in names_of(d)}), *self.function.sizes_used]
        for name in wanted:
            if name not in self.bound:
                self.function.keyword_sizes[name] = self.sizes[name]
        for parameter, type in unsolved:
            dims = [dim_source(d, self.sizes) for d in type.dims]
            self.lines.write(f"_shape({parameter!r}, {parameter}, {shape_source(dims)})")
        self.constraints()
        checks = self.lines.count
        self.formats()
        known = {n: self.sizes[n] for n in sorted(self.bound | set(self.function.keyword_sizes))}
        self.function.head = Head(checks, self.lines.count - checks, known)
        return self.lines.lines

    def needed(self) -> set[str]:
        """Sizes that are used: in the code, in a constraint, in two arguments, or to find another size."""
        found = set(self.function.sizes_used)
        for constraint in self.program.where:
            found |= names_of(constraint.left) | names_of(constraint.right)
        seen: set[str] = set()
        for _, type in self.arrays:
            names = {n for d in type.dims for n in names_of(d)}
            found |= names & seen
            seen |= names
            if any(names_of(d) and not dim_name(d) for d in type.dims):
                found |= names
        return found

    def first_look(self, parameter: str, type: TensorType, needed: set[str]) -> bool:
        """Hold an argument to what is known, and take from it the sizes that are its axes; whether that is all."""
        wanted, targets, sound = [], [], True
        for dim in type.dims:
            name = dim_name(dim)
            target = "_"
            if names_of(dim) <= self.bound and name not in self.fresh(type):
                wanted.append(dim_source(dim, self.sizes))
            else:
                wanted.append(repr(dim_text(dim, spelled)))
                sound = sound and name is not None
                if name is not None and self.sizes[name] not in targets and name in needed:
                    target = self.sizes[name]
            targets.append(target)
        self.bound |= self.fresh(type)
        self.function.helper("_shape")
        call = f"_shape({parameter!r}, {parameter}, {shape_source(wanted)})"
        if not any(t != "_" for t in targets):
            self.lines.write(call)
        elif len(targets) == 1:
            self.lines.write(f"{targets[0]} = {call}[0]")
        else:
            self.lines.write(f"{', '.join(targets)} = {call}")
        return sound

    def fresh(self, type: TensorType) -> set[str]:
        """The sizes that are axes of this argument and were not known before."""
        return {name for d in type.dims if (name := dim_name(d)) is not None and name not in self.bound}

    def solve(self, parameter: str, axis: int, dim: DimLike) -> bool:
        """Find the one unknown size of a dim, if the dim is linear in it."""
        unknown = names_of(dim) - self.bound
        if len(unknown) != 1 or not isinstance(dim, Dim):
            return False
        (name,) = unknown
        slope: DimLike = 0
        for monomial, coefficient in dim.terms:
            powers = dict(monomial)
            if powers.pop(name, 0) == 1:
                slope = slope + product(
                    [coefficient, *(named_size(str(a)) for a, p in powers.items() for _ in range(p))]
                )
        rest = dim - multiply(slope, named_size(name))
        if slope == 0 or name in names_of(rest) or not names_of(slope) <= self.bound:
            return False
        above = f"{parameter}.shape[{axis}] - ({dim_source(rest, self.sizes)})"
        below = dim_source(slope, self.sizes)
        self.lines.write(
            f"{self.sizes[name]} = ({above if rest != 0 else f'{parameter}.shape[{axis}]'}) // "
            f"{below if isinstance(slope, int) else f'max(1, {below})'}"
        )
        self.bound.add(name)
        return True

    def constraints(self) -> None:
        """Tests of the relations between sizes that the program was checked under."""
        known = self.bound | set(self.function.keyword_sizes)
        for constraint in self.program.where:
            if not names_of(constraint.left) | names_of(constraint.right) <= known:
                continue
            left, right = (dim_source(d, self.sizes) for d in (constraint.left, constraint.right))
            sides = [dim_text(d, spelled) for d in (constraint.left, constraint.right)]
            message = f"{self.function.name} needs {sides[0]} {constraint.relation} {sides[1]}"
            self.lines.open(f"if not ({left}) {constraint.relation} ({right}):")
            self.lines.write(f"raise ValueError({message!r})")
            self.lines.close()

    def formats(self) -> None:
        """Scalar arguments in their formats, on the device of the arrays."""
        placed = bool(self.arrays)
        scalar = self.function.dialect.scalar_input
        texts = [f"{p} = {scalar(self.function, p, d, placed)}" for p, d in self.scalars]
        if placed and self.function.uses_device:
            self.lines.write(f"device = {self.arrays[0][0]}.device")
        for text in texts:
            self.lines.write(text)
        if self.function.uses_device and not placed:
            self.lines.write(f"device = {self.scalars[0][0]}.device" if self.scalars else "device = None")
