"""One block of memory for all that is held, against the largest sum of bytes that are alive at one time."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

from benchmarks.memory.cases import FOLDER, PEAKS, graph
from tpc.files import FolderFiles, read_program
from tpc.ir.elaborate.module import check
from tpc.ir.node import Program
from tpc.ir.ops.structure import CONSTANT, INPUT
from tpc.ir.sizes import with_sizes
from tpc.passes.memory.liveness import Liveness
from tpc.passes.memory.placement import Span, lower_bound, place
from tpc.passes.memory.workspace import large_sizes
from tpc.passes.pipeline import Options, run

EXAMPLES = Path(__file__).parents[2] / "examples"
MOST = 1.05  # times the lower bound, in the mean


def places() -> dict[str, Any]:
    """The graphs in their own order and the plans of all examples, at large sizes."""
    rows = [_row(name, spans) for name, spans in (*_graphs(), *_examples()) if spans]
    average = mean(row["ratio"] for row in rows)
    worst = max(rows, key=lambda row: row["ratio"])
    print(
        f"places of {len(rows)} graphs and examples: {average:.4f} times the lower bound, at most {worst['ratio']:.4f} "
        f"({worst['name']}), planned in at most {max(row['seconds'] for row in rows):.2f} s"
        f"{'' if average <= MOST else '  missed'}"
    )
    return {"mean": average, "rows": rows, "met": average <= MOST}


def _row(name: str, spans: Sequence[Span]) -> dict[str, Any]:
    begun = perf_counter()
    found = place(spans)
    return {"name": name, "ratio": found.bytes / lower_bound(spans), "seconds": perf_counter() - begun}


def _graphs() -> Iterator[tuple[str, list[Span]]]:
    for name in PEAKS if FOLDER.is_dir() else ():
        found = graph(name)
        ends = [len(found) if step.kept else max([k, *found.readers[k]]) + 1 for k, step in enumerate(found.steps)]
        yield name, [Span(step.bytes, k, end) for k, (step, end) in enumerate(zip(found.steps, ends, strict=True))]


def _examples() -> Iterator[tuple[str, list[Span]]]:
    for manifest in sorted(EXAMPLES.glob("*/example.toml")):
        folder, name = manifest.parent, manifest.parent.name
        path = folder / f"{name}.tp"
        checked = check(read_program(path, str(path)), FolderFiles(folder, (str(path), path)))
        program = checked.programs[tomllib.loads(manifest.read_text("utf-8"))["function"]]
        closed = with_sizes(program, large_sizes(program).at)
        yield name, _spans(run(closed, Options()).program)


def _spans(program: Program) -> list[Span]:
    """What a program makes; what takes the place of an operand is one array with it."""
    memory = Liveness(program)
    found: dict[int, Span] = {}
    for number, buffer in enumerate(memory.buffers):
        if buffer.node.op in (INPUT, CONSTANT) or not buffer.bytes:
            continue
        first = number
        while first in memory.taken:
            first = memory.taken[first]
        before = found.get(first, Span(0, buffer.start, 0))
        found[first] = Span(max(before.bytes, buffer.bytes), before.start, max(before.stop, buffer.end + 1))
    return list(found.values())
