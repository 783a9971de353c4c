"""Messages about promises that cannot be kept: the inverse of a matrix that is singular whatever its entries are."""

from __future__ import annotations

from collections.abc import Mapping

from tpc.dsl.diagnostics import Diagnostics, Label
from tpc.dsl.source import Span
from tpc.ir.dims import dim_text
from tpc.ir.facts import FACTS
from tpc.ir.facts.derivation import Derivation, expression
from tpc.ir.facts.obligations import Broken, broken
from tpc.ir.node import Fact, Node, Program

DOMAINS = {
    "sqrt": "numbers that are not negative",
    "rsqrt": "positive numbers",
    "log": "positive numbers",
    "log2": "positive numbers",
    "log10": "positive numbers",
    "log1p": "numbers above -1",
    "asin": "numbers from -1 to 1",
    "acos": "numbers from -1 to 1",
    "atanh": "numbers between -1 and 1",
    "acosh": "numbers from 1 on",
    "logit": "numbers between 0 and 1",
}


def check_promises(program: Program, spans: Mapping[Node, Span], default: Span, diagnostics: Diagnostics) -> None:
    """Report what a program needs and cannot have, and functions outside of their domain."""
    for fault in broken(program):
        _Message(fault, spans, default).add(diagnostics)


class _Message:
    def __init__(self, fault: Broken, spans: Mapping[Node, Span], default: Span) -> None:
        self.fault, self.spans, self.default = fault, spans, default

    def add(self, diagnostics: Diagnostics) -> None:
        fault = self.fault
        sign = fault.node.op.operator or fault.node.op.name
        if fault.needed is None:
            title, help = (
                f"`{sign}` is NaN here, whatever the data are",
                f"`{sign}` takes {DOMAINS[fault.node.op.name]}",
            )
            diagnostics.add("W0401", title, *self.labels(), notes=self.notes(), help=help)
            return
        if fault.node is fault.operand:
            title, help = f"this is declared {fault.needed}, and cannot be", "remove the fact that does not hold"
        else:
            title = f"`{sign}` needs a matrix that is {fault.needed}, and this one cannot be"
            help = self.way_out()
        diagnostics.add("E0405", title, *self.labels(), notes=self.notes(), help=help)

    def labels(self) -> list[Label]:
        fault = self.fault
        what = " and ".join(dict.fromkeys(self.phrase(derivation) for derivation in fault.known))
        if fault.call is not None:
            inner = f"in `{fault.call.programs[0].name}`, `{self.name(fault.operand)}` {what}"
            return [Label(self.spans.get(fault.call, self.default), inner)]
        if fault.operand in self.spans:
            return [Label(self.spans[fault.operand], what)]
        return [Label(self.spans.get(fault.node, self.default), f"`{self.name(fault.operand)}` {what}")]

    def phrase(self, derivation: Derivation) -> str:
        """What is known, in words; of another value than the operand with its name."""
        text = _words(derivation.fact)
        if derivation.fact.name == "low_rank":
            text += f", and {dim_text(derivation.node.tensor.dims[-1])} columns"
        return text if derivation.node is self.fault.operand else f"is this, and `{self.name(derivation.node)}` {text}"

    def notes(self) -> list[str]:
        """What was declared of the values that it comes from."""
        found: dict[str, None] = {}
        stack = list(self.fault.known)
        while stack:
            derivation = stack.pop()
            stack += derivation.premises
            if derivation.how == "declared":
                found[f"`{self.name(derivation.node)}` is declared {derivation.fact}"] = None
        return list(found)

    def name(self, node: Node) -> str:
        return self.spans[node].text if node in self.spans and self.fault.call is None else expression(node)

    def way_out(self) -> str:
        fault = self.fault
        operand = self.name(fault.operand)
        if fault.needed == Fact("spd"):
            return "are the sign and the order of the operands right? `ldl` and `lu` factor matrices that are not spd"
        args = fault.operand.args
        if fault.operand.op.name == "matmul" and _turned(args[0]) is _turned(args[1]):
            return f"is `{self.name(args[1])} @ {self.name(args[0])}` meant? `pinv({operand})` always exists"
        if fault.node.op.name == "solve":
            return f"`lstsq({operand}, {self.name(fault.node.args[1])})` gives the solution of least norm"
        return f"`pinv({operand})` always exists, and a multiple of the identity may be added to the matrix"


def _turned(node: Node) -> Node:
    return node.args[0] if node.op.name == "transpose" else node


def _words(fact: Fact) -> str:
    arguments = [a if isinstance(a, float) else dim_text(a) for a in fact.arguments]
    match fact.name:
        case "low_rank":
            return f"has rank {arguments[0]} at most"
        case "at_least" | "at_most":
            return f"is {arguments[0]} {fact.name.replace('_', ' ')}"
        case "projection":
            return f"is a projection of rank {arguments[0]}"
        case "negative" | "positive" | "nonzero" | "psd" | "spd":
            return f"is {fact.name}"
    return f"is {fact} ({FACTS[fact.name].about})"
