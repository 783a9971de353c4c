"""Arguments matched with parameters: what the sizes of a called function are at the call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tpc.dsl import syntax
from tpc.dsl.diagnostics import Diagnostics, Label, TpcError
from tpc.ir.dims import DimLike, dim_text, named, names_of, substitute
from tpc.ir.elaborate.scope import Frame
from tpc.ir.elaborate.types import constraint_of, match_dims, size_names
from tpc.ir.node import Node
from tpc.ir.notation import dim_of_syntax
from tpc.ir.types import DTYPES, TensorType


@dataclass
class _Pending:
    """An axis of a parameter (in the function's sizes) and the argument's size there."""

    written: DimLike
    actual: DimLike
    label: Label
    name: str


@dataclass
class _Match:
    frame: Frame
    definition: syntax.Def
    sizes: dict[str, DimLike] = field(default_factory=dict)
    origin: dict[str, Label] = field(default_factory=dict)
    batch_rank: int = 0
    pending: list[_Pending] = field(default_factory=list)
    sound: bool = True

    def error(self, code: str, title: str, *labels: Label, help: str | None = None) -> None:
        self.frame.diagnostics.add(code, title, *labels, help=help)
        self.sound = False

    def argument(self, parameter: syntax.Parameter, node: Node, part: syntax.Expr, own: dict[str, DimLike]) -> None:
        """Check rank and dtype of an argument, and note its axes."""
        assert parameter.type is not None
        actual, written = node.tensor, parameter.type.dims
        fixed = [d for d in written if not isinstance(d, syntax.Dots)]
        extra = actual.rank - len(fixed)
        what = f"`{parameter.name.name}` of `{self.definition.name.name}`"
        label, declared = Label(part.span, f"this is {actual}"), Label(parameter.span, "declared here")
        if extra < 0 or (extra > 0 and len(fixed) == len(written)):
            self.error("E0204", f"{what} must be {parameter.type.span.text}", label, declared)
            return
        wanted = DTYPES.get(parameter.type.dtype.name) if parameter.type.dtype is not None else None
        if wanted is not None and actual.dtype is not wanted:
            narrower = "bifc".index(actual.dtype.kind) > "bifc".index(wanted.kind)
            if not actual.dtype.is_weak or narrower:
                self.error(
                    "E0211",
                    f"{what} must be {wanted}, not {actual.dtype}",
                    label,
                    declared,
                    help=f"convert it, as in `{wanted}({part.span.text})`" if len(part.span.text) < 40 else None,
                )
        start = next((k for k, d in enumerate(written) if isinstance(d, syntax.Dots)), len(fixed))
        self.batch(actual.dims[start : start + extra], label)
        for item, dim in zip(fixed, (*actual.dims[:start], *actual.dims[start + extra :]), strict=True):
            self.pending.append(_Pending(dim_of_syntax(item, own), dim, label, parameter.name.name))

    def batch(self, dims: Sequence[DimLike], label: Label) -> None:
        """The dims that `...` stands for: those of all arguments agree, counted from the right."""
        self.batch_rank = max(self.batch_rank, len(dims))
        for number, dim in enumerate(reversed(dims), 1):
            name = f"batch{number}"
            known = self.sizes.setdefault(name, dim)
            self.origin.setdefault(name, label)
            if known != dim:
                self.error(
                    "E0203",
                    f"`...` of `{self.definition.name.name}` is {dim_text(known)} in one argument "
                    f"and {dim_text(dim)} in another",
                    label,
                    self.origin[name],
                )

    def solve(self) -> None:
        """Settle the sizes axis by axis, those with one unknown first."""
        progress = True
        while self.pending and progress and self.sound:
            progress = False
            for item in list(self.pending):
                before = set(self.sizes)
                agreed = match_dims(item.written, item.actual, self.sizes)
                if agreed is None:
                    continue
                self.pending.remove(item)
                progress = True
                self.origin.update(dict.fromkeys(set(self.sizes) - before, item.label))
                if not agreed:
                    self.clash(item)
        for item in self.pending if self.sound else []:
            self.error(
                "E0207",
                f"the sizes in {dim_text(item.written)} cannot be found from {dim_text(item.actual)}",
                item.label,
                help=f"`{item.name}` alone does not settle them; an argument with one of these sizes as an axis does",
            )

    def clash(self, item: _Pending) -> None:
        wanted = dim_text(item.written)
        here = dim_text(substitute(item.written, self.sizes))
        needs = f"{wanted} = {here}" if wanted != here else wanted
        labels = [Label(item.label.span, f"{item.label.text}, and needs {needs} there")]
        for known in sorted(names_of(item.written)):
            if known in self.origin and self.origin[known].span != item.label.span:
                because = self.origin[known]
                labels.append(Label(because.span, f"{known} is {dim_text(self.sizes[known])} because {because.text}"))
        self.error(
            "E0203",
            f"`{item.name}` of `{self.definition.name.name}` has {dim_text(item.actual)} entries on an axis "
            f"where {needs} are needed",
            *labels,
        )


def match_arguments(
    frame: Frame, definition: syntax.Def, arguments: Sequence[tuple[Node, syntax.Expr]]
) -> tuple[dict[str, DimLike] | None, int]:
    """The sizes of a function at a call (None after messages) and the number of dims that `...` stands for."""
    match = _Match(frame, definition)
    own: dict[str, DimLike] = {n: named(n) for n in size_names([p.type for p in definition.parameters])}
    for parameter, (node, part) in zip(definition.parameters, arguments, strict=True):
        if parameter.type is not None:
            try:
                match.argument(parameter, node, part, own)
            except TpcError:  # the type itself is wrong, which is told where the function is checked
                match.sound = False
    match.solve()
    return (match.sizes if match.sound else None), match.batch_rank


def abstract(
    actual: TensorType, written: syntax.TypeExpr | None, sizes: dict[str, DimLike], own: dict[str, DimLike]
) -> TensorType:
    """The type that an untyped parameter has inside of the function: the caller's, with sizes named there."""
    if written is not None:
        return actual
    dims: list[DimLike] = []
    for dim in actual.dims:
        if isinstance(dim, int):
            dims.append(dim)
            continue
        name = next((name for name, value in sizes.items() if value == dim), None)
        if name is None:
            only = sorted(names_of(dim))[0]
            name = only if dim == named(only) and only not in sizes else f"d{len(sizes) + 1}"
            while name in sizes:
                name += "_"
            sizes[name], own[name] = dim, named(name)
        dims.append(named(name))
    return TensorType(actual.dtype, dims)


def equalities(definition: syntax.Def, sizes: dict[str, DimLike]) -> None:
    """`where n == 2*m`: n is replaced by what it equals."""
    for written in definition.where:
        for constraint in constraint_of(written, sizes, Diagnostics()):
            if constraint.relation != "==":
                continue
            for left, right in ((constraint.left, constraint.right), (constraint.right, constraint.left)):
                name = str(left)
                if sizes.get(name) == left == named(name) and name not in names_of(right):
                    for key, value in list(sizes.items()):
                        sizes[key] = substitute(value, {name: right})
                    break
