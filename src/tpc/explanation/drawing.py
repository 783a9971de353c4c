"""The graph of a program as SVG: values in layers from inputs to results, operands above what uses them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CONSTANT, INPUT, LITERAL, SIZE

if TYPE_CHECKING:
    import networkx

MOST = 120  # values that are drawn
SWEEPS = 6  # over the layers, to put values below their operands
CHARACTER, HEIGHT, GAP, LEVEL = 7.2, 36, 18, 74  # pixels
LONGEST = 30  # characters of a label


def drawing(program: Program, names: Mapping[Node, str]) -> str:
    """The graph as an `svg` element, or a paragraph where it is too large or empty."""
    graph = _graph(program)
    if not graph:
        return "<p>There is nothing to compute.</p>"
    if len(graph) > MOST:
        return f"<p>The graph has {len(graph)} values, too many to draw.</p>"
    labels = {node: _label(node, names) for node in graph}
    widths = {node: CHARACTER * max(map(len, lines)) + 16 for node, lines in labels.items()}
    layers = _layers(graph)
    places, width = _places(layers, widths)
    height = LEVEL * len(layers)
    parts = [f'<svg viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" role="img">']
    for start, end in graph.edges():
        parts.append(_edge(places[start], places[end]))
    results = set(program.outputs)
    for node, (x, y) in places.items():
        kind = "given" if node.op in (INPUT, CONSTANT) else "result" if node in results else "value"
        parts.append(_box(x, y, widths[node], labels[node], kind))
    return "\n".join([*parts, "</svg>"])


def _graph(program: Program) -> networkx.DiGraph[Node]:
    """The values of a program; numbers and sizes are left out."""
    import networkx

    graph: networkx.DiGraph[Node] = networkx.DiGraph()
    for node in dict.fromkeys([*program.inputs, *program.nodes]):
        if node.op not in (LITERAL, SIZE) or node in program.outputs:
            graph.add_node(node)
            graph.add_edges_from((operand, node) for operand in node.args if operand.op not in (LITERAL, SIZE))
    return graph


def _layers(graph: networkx.DiGraph[Node]) -> list[list[Node]]:
    """Each value one layer below its lowest operand, near the middle of its neighbours."""
    import networkx

    layers = [list(layer) for layer in networkx.topological_generations(graph)]
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        near = graph.pred if downwards else graph.succ
        order = {node: k / len(layer) for layer in layers for k, node in enumerate(layer)}
        for layer in layers if downwards else reversed(layers):
            middles = {n: sum(order[m] for m in near[n]) / len(near[n]) if near[n] else order[n] for n in layer}
            layer.sort(key=middles.__getitem__)
            order.update({node: k / len(layer) for k, node in enumerate(layer)})
    return layers


def _places(layers: list[list[Node]], widths: Mapping[Node, float]) -> tuple[dict[Node, tuple[float, float]], float]:
    """The middle of each box, and the width of all."""
    spans = [sum(widths[n] for n in layer) + GAP * (len(layer) + 1) for layer in layers]
    width = max(spans)
    places = {}
    for level, (layer, span) in enumerate(zip(layers, spans)):
        x = (width - span) / 2 + GAP
        for node in layer:
            places[node] = (x + widths[node] / 2, LEVEL * level + LEVEL / 2)
            x += widths[node] + GAP
    return places, width


def _label(node: Node, names: Mapping[Node, str]) -> list[str]:
    """What a value is called, and its type."""
    own = str(node["name"]) if node.op in (INPUT, CONSTANT) else names.get(node, "")
    title = own if node.op in (INPUT, CONSTANT) or not own else f"{own} = {node.op.name}"
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    return [_cut(title or node.op.name), _cut(", ".join(map(str, types)))]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (u, v) = start, end
    y, v = y + HEIGHT / 2, v - HEIGHT / 2
    bend = (v - y) / 2
    return f'<path class="edge" d="M{x:.1f} {y:.1f} C{x:.1f} {y + bend:.1f} {u:.1f} {v - bend:.1f} {u:.1f} {v:.1f}"/>'


def _box(x: float, y: float, width: float, lines: list[str], kind: str) -> str:
    title, type = (escape(line) for line in lines)
    return (
        f'<g class="{kind}"><rect x="{x - width / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{width:.1f}" '
        f'height="{HEIGHT}" rx="5"/><text x="{x:.1f}" y="{y - 3:.1f}">{title}</text>'
        f'<text class="type" x="{x:.1f}" y="{y + 12:.1f}">{type}</text></g>'
    )
