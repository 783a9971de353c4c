"""Programs as text: the language itself, typed single assignment, one op a line.

`parse(print(p)) is p`: what is printed here elaborates to the very same object. Names of values are the user's
where they are known and free, else v1, v2, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tpc.dsl.operators import BINARY
from tpc.dsl.tokens import KEYWORDS
from tpc.ir.dims import dim_text, names_of
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
    relettered,
    walk,
)
from tpc.ir.node import Fact, Node, Program, topological
from tpc.ir.notation import CONSTANTS
from tpc.ir.ops.structure import CONSTANT, ITEM, LITERAL, SIZE, At, Range
from tpc.ir.scalar import OPERATORS
from tpc.ir.types import DType, TensorType

_SIGNS = {f.name: sign for (sign, _), f in OPERATORS.items()}


def program_text(program: Program, names: Mapping[Node, str] | None = None) -> str:
    """The program with the constants it reads and the functions it calls, as a text that parses back to it."""
    parts: list[str] = []
    constants = {n["name"]: n for n in program.walk() if n.op is CONSTANT}
    facts = dict(program.facts)
    for name, node in constants.items():
        known = facts.get(node, ())
        text = f" is {' and '.join(map(str, known))}" if known else ""
        parts.append(f'const {name}: {node.tensor}{text} = load("{node["data"].path}")')
    if parts:
        parts.append("")
    for called in _callees(program):
        parts += [_Printer(called, names or {}, constants).text(), ""]
    parts.append(_Printer(program, names or {}, constants).text())
    return "\n".join(parts) + "\n"


def program_of(text: str) -> Program:
    """The program of a text that `program_text` gave, if it reads no constant.

    Raises
    ------
    ValueError
        If the text is no valid program.
    """
    from tpc.dsl.source import Source
    from tpc.ir.elaborate.module import check

    checked = check(Source(text))
    if checked.diagnostics.errors or not checked.programs:
        raise ValueError("not a program")
    return list(checked.programs.values())[-1]


def _callees(program: Program) -> list[Program]:
    """The functions that a program calls, those first that call nothing."""
    order: list[Program] = []
    seen: set[Program] = set()

    def visit(inner: Program) -> None:
        if inner in seen:
            return
        seen.add(inner)
        for node in inner.nodes:
            for used in node.programs:
                visit(used)
                if node.op.name in ("call", "derivative") and used not in order:
                    order.append(used)

    visit(program)
    return order


def formula_letters(formula: Formula) -> set[str]:
    return {name for name, _ in formula.extents}


class _Printer:
    """Prints one function."""

    def __init__(self, program: Program, hints: Mapping[Node, str], constants: Mapping[str, Node]) -> None:
        from tpc.ir.elaborate.module import library_names

        self.program = program
        self.hints = hints
        self.lines: list[str] = []
        self.facts = dict(program.facts)
        self.taken: set[str] = {*KEYWORDS, *CONSTANTS, *library_names(), *constants}
        self.taken |= {p.name for p in _callees(program)} | {program.name}
        self.taken |= {node["name"] for node in program.inputs} | set(program.output_names)
        self.meant = set(self.taken)  # what a letter of this name would hide
        inner = [node for node in program.walk() if node.op.name != "call"]
        for node in (*program.inputs, *inner):
            for type in node.type if isinstance(node.type, tuple) else (node.type,):
                for dim in type.dims:
                    self.taken |= names_of(dim)
                    self.meant |= names_of(dim)
            formula = node.get("formula")
            if formula is not None:
                self.taken |= formula_letters(formula)
        self.counter = 0
        # dangerous to bind early: a value with the name of a function that is called further down
        self.late = {n for n in program.output_names if n in library_names() or n in constants}

    def text(self) -> str:
        program = self.program
        names: dict[Node, str] = {node: node["name"] for node in program.inputs}
        wanted = {
            node: name
            for node, name in zip(program.outputs, program.output_names, strict=True)
            if node not in names and name not in self.late and node.op not in (LITERAL, SIZE, CONSTANT)
        }
        self.body(program.outputs, names, 1, wanted)
        results = []
        for node, name in zip(program.outputs, program.output_names, strict=True):
            if names.get(node) != name:
                self.line(1, f"{name} = {self.operand(node, names)}")
            results.append(name)
        header = self.header()
        return "\n".join([header, *self.lines, f"    return {', '.join(results)}"])

    def header(self) -> str:
        program = self.program
        defaults = dict(program.defaults)
        parameters = []
        for node in program.inputs:
            text = f"{node['name']}: {node.type}" + self.known(node)
            if node["name"] in defaults:
                text += f" = {self.operand(defaults[node['name']], {})}"
            parameters.append(text)
        types = [str(t) for t in program.result_types]
        result = types[0] if len(types) == 1 else f"({', '.join(types)})"
        where = f" where {', '.join(map(str, program.where))}" if program.where else ""
        return f"def {program.name}({', '.join(parameters)}) -> {result}{where}:"

    def known(self, node: Node) -> str:
        facts = self.facts.get(node, ())
        return f" is {' and '.join(map(str, facts))}" if facts else ""

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def name(self, hint: str | None) -> str:
        """A free name, like the hint if it can be."""
        if hint is not None and re.fullmatch(r"[^\W\d]\w*", hint) and hint not in self.taken:
            self.taken.add(hint)
            return hint
        while True:
            self.counter += 1
            name = f"v{self.counter}"
            if name not in self.taken:
                self.taken.add(name)
                return name

    # ---- statements

    def body(
        self,
        outputs: Sequence[Node],
        names: dict[Node, str],
        depth: int,
        wanted: Mapping[Node, str] | None = None,
    ) -> None:
        """Lines for all nodes that the outputs need and that have no name yet."""
        wanted = wanted or {}
        for node in _needed(outputs, names):
            if node.op in (LITERAL, SIZE, CONSTANT, ITEM) or node in names:
                continue
            parts = self.results(node, outputs, names)
            chosen = []
            for part in parts:
                name = wanted.get(part) or self.name(self.hints.get(part))
                chosen.append(name)
            if node.op.name == "repeat":
                self.repeat(node, chosen, names, depth)
            elif node.op.name == "scan":
                self.scan(node, chosen, names, depth)
            elif node.op.name == "if":
                self.branch(node, chosen, names, depth)
            else:
                self.assign(node, parts, chosen, names, depth)
            names.update(zip(parts, chosen, strict=True))

    def results(self, node: Node, outputs: Sequence[Node], names: Mapping[Node, str]) -> list[Node]:
        """The values that a node gives: itself, or its items."""
        if isinstance(node.type, TensorType):
            return [node]
        return [Node(ITEM, (node,), (("position", k),), t) for k, t in enumerate(node.type)]

    def assign(
        self, node: Node, parts: Sequence[Node], chosen: Sequence[str], names: Mapping[Node, str], depth: int
    ) -> None:
        formula = node.get("formula")
        if node.op.name == "index" and formula is not None:
            operands = [self.operand(a, names) for a in node.args]
            hidden = [n for n, _ in formula.extents if n in self.meant and n in _said(formula, operands)]
            formula = relettered(formula, {n: self.name(None) for n in hidden}) if hidden else formula
            letters = ", ".join(f"{a} in {dim_text(formula.extent[a])}" for a in formula.letters)
            body = scalar_text(formula.body, operands, formula)
            left = f"{chosen[0]}[{letters}]" if letters else chosen[0]
            self.line(depth, f"{left}: {node.type}{self.known(node)} = {body}")
            return
        left = ", ".join(f"{n}: {p.type}{self.known(p)}" for n, p in zip(chosen, parts, strict=True))
        sign = "~=" if node.op.name == "approximate" else "="
        self.line(depth, f"{left} {sign} {self.expression(node, names)}")

    def repeat(self, node: Node, chosen: Sequence[str], names: dict[Node, str], depth: int) -> None:
        state, body, until = node["state"], node["body"], node["until"]
        for name, initial in zip(chosen, node.args[:state], strict=True):
            self.line(depth, f"{name} = {self.operand(initial, names)}")
        operands = node.args if node["count"] is not None else node.args[:-1]
        count = dim_text(node["count"]) if node["count"] is not None else self.operand(node.args[-1], names)
        self.line(depth, f"repeat {count}:")
        inner = dict(zip(body.inputs[:state], chosen, strict=True))
        inner |= {i: self.operand(a, names) for i, a in zip(body.inputs[state:], operands[state:], strict=True)}
        with_facts = self.with_facts(body)
        if until is not None:
            self.body(until.outputs, inner, depth + 1)
            self.line(depth + 1, f"until {self.operand(until.outputs[0], inner)}")
        self.body(body.outputs, inner, depth + 1)
        values = ", ".join(self.operand(o, inner) for o in body.outputs)
        self.line(depth + 1, f"{', '.join(chosen)} = {values}")
        self.facts = with_facts

    def scan(self, node: Node, chosen: Sequence[str], names: dict[Node, str], depth: int) -> None:
        state, body = node["state"], node["body"]
        for name, initial in zip(chosen, node.args[:state]):
            self.line(depth, f"{name} = {self.operand(initial, names)}")
        letter = self.name(self.hints.get(body.inputs[0], "i" if "i" not in self.taken else None))
        self.line(depth, f"scan {letter} in {dim_text(node['extent'])}:")
        inner = {body.inputs[0]: letter}
        inner |= dict(zip(body.inputs[1 : 1 + state], chosen))
        inner |= {i: self.operand(a, names) for i, a in zip(body.inputs[1 + state :], node.args[state:], strict=True)}
        with_facts = self.with_facts(body)
        self.body(body.outputs, inner, depth + 1)
        for name, output in zip(chosen[state:], body.outputs[state:], strict=True):
            weak = f": {output.type}" if output.tensor.dtype.is_weak else ""  # else it would be stacked as another
            self.line(depth + 1, f"{name}[{letter}]{weak} = {self.operand(output, inner)}")
        if state:
            values = ", ".join(self.operand(o, inner) for o in body.outputs[:state])
            self.line(depth + 1, f"{', '.join(chosen[:state])} = {values}")
        self.facts = with_facts

    def branch(self, node: Node, chosen: Sequence[str], names: dict[Node, str], depth: int) -> None:
        self.line(depth, f"if {self.operand(node.args[0], names)}:")
        for word, program in (("", node["then"]), ("else:", node["other"])):
            if word:
                self.line(depth, word)
            inner = {i: self.operand(a, names) for i, a in zip(program.inputs, node.args[1:], strict=True)}
            with_facts = self.with_facts(program)
            self.body(program.outputs, inner, depth + 1)
            values = ", ".join(self.operand(o, inner) for o in program.outputs)
            self.line(depth + 1, f"{', '.join(chosen)} = {values}")
            self.facts = with_facts

    def with_facts(self, program: Program) -> dict[Node, tuple[Fact, ...]]:
        """Make the facts of an inner program the current ones; returns those of before."""
        before = self.facts
        self.facts = dict(program.facts)
        return before

    # ---- expressions

    def operand(self, node: Node, names: Mapping[Node, str]) -> str:
        """A name, a number or a size, closed in parentheses where it must be."""
        if node in names:
            return names[node]
        if node.op is LITERAL:
            spelled = node["value"].spelling
            return f"({spelled})" if spelled.startswith("-") else spelled
        if node.op is SIZE:
            text = dim_text(node["dim"])
            return text if re.fullmatch(r"\w+", text) else f"({text})"
        if node.op is CONSTANT:
            return str(node["name"])
        raise AssertionError(node)

    def expression(self, node: Node, names: Mapping[Node, str]) -> str:
        op = node.op
        operands = [self.operand(a, names) for a in node.args]
        if op.name == "transpose":
            return f"{operands[0]}'"
        if op.operator is not None and len(operands) == 2 and op.operator in BINARY:
            return f"{operands[0]} {op.operator} {operands[1]}"
        if op.operator is not None and len(operands) == 1:
            return f"not {operands[0]}" if op.operator == "not" else f"{op.operator}{operands[0]}"
        if op.name == "subscript":
            return f"{operands[0]}[{self.subscripts(node, operands[1:])}]"
        if op.name == "cast":
            return f"{node['dtype']}({operands[0]})"
        if op.name == "call":
            return f"{node['body'].name}({', '.join(operands)})"
        if op.name == "approximate":
            on = f" on {operands[1]}" if len(operands) > 1 else ""
            norm = f" in {node['norm']}" if node["norm"] != "frobenius" else ""
            return f"{operands[0]} within {node['within'].spelling}{norm}{on}"
        if op.name == "derivative":
            text = str(node["body"].name)
            for kind, parameters, options in node["steps"]:
                words = [f"{name}={str(value).lower()}" for name, value in options]
                text = f"{kind}({', '.join([text, *parameters, *words])})"
            return f"{text}({', '.join(operands)})"
        return f"{op.name}({', '.join(self.arguments(node, operands))})"

    def subscripts(self, node: Node, dynamic: list[str]) -> str:
        texts = []
        for item, dim in zip(node["items"], node.args[0].tensor.dims, strict=True):
            match item:
                case At(position=position):
                    texts.append(dynamic.pop(0) if position is None else dim_text(position))
                case Range(start=start, count=count, step=step):
                    if step != 1:
                        stop = start + (count - 1) * step + 1 if count != 0 else start
                        texts.append(f"{dim_text(start)}:{dim_text(stop)}:{step}")
                    elif start == 0 and count == dim:
                        texts.append(":")
                    else:
                        texts.append(f"{dim_text(start)}:{dim_text(start + count)}")
        return ", ".join(texts)

    def arguments(self, node: Node, operands: list[str]) -> Iterable[str]:
        op = node.op
        yield from operands
        for name, value in node.attributes:
            if name == "dims":
                yield from (dim_text(d) for d in value)
            elif name in op.dims and name not in op.options:
                yield dim_text(value)
        for name, default in op.options.items():
            value = node.get(name)
            if value != default and name not in op.tensors:
                yield f"{name}={_option(value)}"


def _option(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"({', '.join(_option(v) for v in value)})"
    if isinstance(value, DType):
        return value.name
    if isinstance(value, float):
        return repr(value)
    return str(value)


def _needed(outputs: Sequence[Node], names: Mapping[Node, str]) -> list[Node]:
    """The nodes to print for the outputs, without those that have a name already."""
    return [node for node in topological(outputs) if node not in names]


def scalar_text(scalar: Scalar, operands: Sequence[str], formula: Formula) -> str:
    """A scalar of a formula as an expression of the language."""
    return _scalar(scalar, operands, formula, 0)


def _scalar(scalar: Scalar, operands: Sequence[str], formula: Formula, outer: int) -> str:
    def inner(part: Scalar | Composed) -> str:
        if isinstance(part, Composed):
            return f"({' '.join(part.letters)})"
        return _scalar(part, operands, formula, 0)

    match scalar:
        case Literal(spelling=spelling):
            return f"({spelling})" if spelling.startswith("-") and outer else spelling
        case LetterValue(name=name):
            return name
        case SizeValue(dim=dim):
            text = dim_text(dim)
            return text if re.fullmatch(r"\w+", text) or not outer else f"({text})"
        case Access(operand=operand, indices=indices, pad=pad):
            if not indices:
                return operands[operand]
            items = [inner(i) for i in indices]
            if pad is not None:
                items.append(f"pad={inner(pad)}")
            return f"{operands[operand]}[{', '.join(items)}]"
        case Reduction(operator=operator, letters=letters, guard=guard, body=body):
            bound = ", ".join(f"{n} in {dim_text(formula.extent[n])}" for n in letters)
            condition = f" where {inner(guard)}" if guard is not None else ""
            return f"{operator}[{bound}{condition}]({inner(body)})"
        case Apply(function=function, arguments=arguments):
            sign = _SIGNS.get(function)
            if sign is None:
                return f"{function}({', '.join(inner(a) for a in arguments)})"
            # every operator inside of another gets parentheses: plain, and never wrong
            parts = [_scalar(a, operands, formula, 1) for a in arguments]
            text = (
                f"{parts[0]} {sign} {parts[1]}"
                if len(parts) == 2
                else f"{sign} {parts[0]}"
                if sign == "not"
                else f"{sign}{parts[0]}"
            )
            return f"({text})" if outer else text


def _said(formula: Formula, operands: Sequence[str]) -> set[str]:
    """The names of values and sizes in an index statement; a letter of the same name would hide them."""
    sizes = [s.dim for s in walk(formula.body) if isinstance(s, SizeValue)]
    dims = [dim for _, dim in formula.extents] + sizes
    return {name for text in operands for name in re.findall(r"\w+", text)} | {n for d in dims for n in names_of(d)}
