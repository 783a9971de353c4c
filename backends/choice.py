"""Several plans of one program in one module: a function for each, and one that takes the fastest at a call's sizes.

def _seconds(m, n):                     predicted seconds of each plan: sums of products of the sizes
    return (4.1e-06 + 2.2e-10 * m * n ** 2, 9.3e-06 + 1.1e-10 * m ** 2 * n)

def fit(X, y):
    n, m = _shape("X", X, ("n", "m"))   as in every module
    seconds1, seconds2 = _seconds(m, n)
    if seconds1 <= seconds2:
        return fit_1(X, y, n=n)
    return fit_2(X, y)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpc.backends.arguments import Opening, parameter_list, signature
from tpc.backends.code import dim_source
from tpc.backends.contract import Emitted
from tpc.backends.emit import Module
from tpc.backends.function import Function
from tpc.ir.dims import DimLike, names_of
from tpc.ir.node import Node, Program

WIDTH = 112


@dataclass(frozen=True)
class Alternative:
    """A plan, its seconds as multiples of products of sizes, and a comment: where it is the fastest."""

    program: Program
    seconds: tuple[tuple[DimLike, float], ...]
    comment: str = ""
    names: Mapping[Node, str] | None = None


def names(alternatives: Sequence[Alternative]) -> dict[Node, str]:
    """The user's names for values, of all plans."""
    found: dict[Node, str] = {}
    for alternative in reversed(alternatives):
        found.update(alternative.names or {})
    return found


def emit(alternatives: Sequence[Alternative], module: Module) -> Emitted:
    """The plans of a program in a module that is empty yet. They have the same inputs and constraints."""
    name = module.globals.fresh(alternatives[0].program.name)
    for number, alternative in enumerate(alternatives, 1):
        module.reserve(alternative.program, f"{name}_{number}")
    main = _Choice(module, alternatives, name)
    module.texts.append(main.write())
    return module.assembled(main)


class _Choice(Function):
    """The function that users call."""

    def __init__(self, module: Module, alternatives: Sequence[Alternative], name: str) -> None:
        super().__init__(module, alternatives[0].program, name, True)
        self.alternatives = alternatives

    def write(self) -> str:
        plans = [self.module.function(a.program) for a in self.alternatives]
        for input in self.named_inputs():
            if any(input in plan.used for plan in plans):
                self.used.add(input)
        self.signature = signature(self)
        self.uses_device = any(plan.uses_device for plan in plans)
        compared = sorted({n for a in self.alternatives for dim, _ in a.seconds for n in names_of(dim)})
        for name in [*compared, *(n for plan in plans for n in plan.keyword_sizes)]:
            self.size_named(name)
        self.module.texts.append(self._prices(compared, plans))
        arguments = ", ".join(self.sizes[n] for n in compared)
        seconds = [self.names.fresh(f"seconds{k}") for k in range(1, len(plans) + 1)]
        self.lines.write(f"{', '.join(seconds)} = _seconds({arguments})")
        for k, plan in enumerate(plans):
            call = self._call(plan)
            if k < len(plans) - 1:
                others = seconds[k + 1 :]
                least = others[0] if len(others) == 1 else f"min({', '.join(others)})"
                self.lines.open(f"if {seconds[k]} <= {least}:")
                self.lines.write(f"return {call}")
                self.lines.close()
            else:
                self.lines.write(f"return {call}")
        body = self.lines.lines
        head = Opening(self).write()
        keywords = list(self.keyword_sizes.values())
        parameters = ", ".join([*parameter_list(self), *(["*"] if keywords else []), *keywords])
        return "\n".join([f"def {self.name}({parameters}):", f'    """{self.signature}"""', *head, *body])

    def _call(self, plan: Function) -> str:
        given = [f"{keyword}={self.sizes[size]}" for size, keyword in plan.keyword_sizes.items()]
        device = ["device=device"] if plan.uses_device else []
        return f"{plan.name}({', '.join([*self.parameters, *given, *device])})"

    def _prices(self, compared: Sequence[str], plans: Sequence[Function]) -> str:
        """The function that compares the plans."""
        sizes = {name: self.sizes[name] for name in compared}
        lines = [
            f"def _seconds({', '.join(sizes.values())}):",
            '    """The predicted seconds of each plan."""',
            "    return (",
        ]
        for alternative, plan in zip(self.alternatives, plans, strict=True):
            terms = [repr(c) if dim == 1 else f"{c!r} * {dim_source(dim, sizes)}" for dim, c in alternative.seconds]
            lines.append(f"        # {plan.name}: {alternative.comment}".rstrip(": "))
            lines += _wrapped(terms)
        return "\n".join([*lines, "    )"])


def _wrapped(terms: Sequence[str]) -> list[str]:
    """A sum as lines, followed by a comma; no term is broken."""
    lines = [" " * 8 + terms[0]]
    for term in terms[1:]:
        if len(lines[-1]) + len(term) < WIDTH:
            lines[-1] += f" + {term}"
        else:
            lines.append(" " * 8 + f"+ {term}")
    return [*lines[:-1], f"{lines[-1]},"]
