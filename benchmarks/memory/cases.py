"""The graphs for rematerialisation that are given beside the repository; see their README for where they are from."""

from __future__ import annotations

import json
from pathlib import Path

from tpc.passes.rematerialise.graph import Graph, Step

FOLDER = Path(__file__).parents[3] / "shared" / "cases" / "remat"
PEAKS = {  # as published, without recomputation
    "vgg16_train": 15825108992,
    "fcn8_train": 13484795520,
    "mobilenet_train": 34701056000,
    "resnet50_test": 2466250752,
    "layered_n100": 46319,
    "layered_n500": 284439,
}
SHARES = (0.9, 0.8, 0.7, 0.6)


def graph(name: str) -> Graph:
    """A graph with its own order of steps; what nothing reads is kept.

    The published peaks come out with this convention: a value is held from its own step on, up to and including the
    last step that reads it.
    """
    data = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    if "order" in data["graph"]:
        order = data["graph"]["order"]
        sizes = {node["name"]: (node["out_cost"], node["duration"]) for node in data["nodes"]}
        links = [(link["0"], link["1"]) for link in data["links"]]
    else:
        order = [node["id"] for node in data["nodes"]]
        sizes = {node["id"]: (node["cost_ram"], node["cost_cpu"]) for node in data["nodes"]}
        links = [(link["source"], link["target"]) for link in data["links"]]
    place = {name: k for k, name in enumerate(order)}
    operands: list[list[int]] = [[] for _ in order]
    for source, target in links:
        operands[place[target]].append(place[source])
    read = {place[source] for source, _ in links}
    return Graph(
        tuple(
            Step(*sizes[name], operands=tuple(sorted(operands[k])), kept=k not in read) for k, name in enumerate(order)
        )
    )
