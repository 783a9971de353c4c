"""The code of a function as plain data, written for the cache and read back with every field checked."""

from __future__ import annotations

from typing import Any

from tpc.backends import backend as find_backend
from tpc.backends.contract import Emitted, Head, Region
from tpc.backends.fields import dim_json, read_dim, read_identifier, read_list, read_mapping, read_text
from tpc.code import Code
from tpc.ir.dims import DimLike
from tpc.ir.node import Program
from tpc.ir.ops.structure import CONSTANT


def as_json(code: Code, program: Program) -> dict[str, Any] | None:
    """Code as data; None where it holds a constant that is not the program's, or a region that no text tells."""
    emitted = code.emitted
    own = {(n["data"].digest, n.tensor.dtype.name) for n in program.walk() if n.op is CONSTANT}
    constants = {name: [n["data"].digest, n.tensor.dtype.name] for name, n in emitted.origins.items()}
    if set(constants) != set(emitted.constants) or any(tuple(origin) not in own for origin in constants.values()):
        return None
    if not all(_is_told(region) for region in emitted.natives.values()):
        return None
    return {
        "source": emitted.source,
        "function": emitted.function,
        "parameters": list(emitted.parameters),
        "sizes": dict(emitted.sizes),
        "constants": constants,
        "natives": {name: [r.text, list(r.parameters), dict(r.sizes), r.fast] for name, r in emitted.natives.items()},
        "whole": list(emitted.whole),
        "head": [emitted.head.checks, emitted.head.formats, dict(emitted.head.sizes)],
        "seconds": [[[dim_json(dim), c] for dim, c in terms] for terms in code.seconds],
        "peaks": [[dim_json(step) for step in steps] for steps in code.peaks],
        "gains": [[[dim_json(dim), c] for dim, c in terms] for terms in code.gains],
    }


def code(body: Any, program: Program, backend: str) -> Code:
    """The code that data holds, with the constants of the program.

    Raises
    ------
    ValueError
        If a field is missing, or is not what it must be.
    """
    names = "source function parameters sizes constants natives whole head seconds peaks gains"
    if not isinstance(body, dict) or set(body) != set(names.split()):
        raise ValueError("fields")
    seconds = tuple(tuple(_term(t) for t in read_list(terms)) for terms in read_list(body["seconds"]))
    peaks = tuple(tuple(read_dim(step) for step in read_list(steps)) for steps in read_list(body["peaks"]))
    gains = tuple(tuple(_term(t) for t in read_list(terms)) for terms in read_list(body["gains"]))
    if len(seconds) != len(peaks) or not seconds or len(gains) not in (0, len(seconds)):
        raise ValueError("variants")
    held = {(n["data"].digest, n.tensor.dtype.name): n for n in program.walk() if n.op is CONSTANT}
    constants = {}
    for name, origin in read_mapping(body["constants"]).items():
        digest, dtype = map(read_text, read_list(origin, 2))
        if (digest, dtype) not in held:
            raise ValueError("constant")
        constants[name] = find_backend(backend).constant(held[digest, dtype])
    if len(read_list(body["whole"])) not in (0, len(seconds)):
        raise ValueError("whole")
    emitted = Emitted(
        read_text(body["source"]),
        read_identifier(body["function"]),
        tuple(read_identifier(p) for p in read_list(body["parameters"])),
        {name: read_identifier(keyword) for name, keyword in read_mapping(body["sizes"]).items()},
        constants,
        natives={read_identifier(name): _region(data) for name, data in read_mapping(body["natives"]).items()},
        whole=tuple(read_identifier(name) for name in read_list(body["whole"])),
        head=_head(body["head"]),
    )
    return Code(emitted, seconds, peaks, gains)


def _is_told(region: Region) -> bool:
    """Whether the text of a region is read as the very same program."""
    try:
        return Region(region.text, region.parameters, region.sizes).program is region.program
    except ValueError:
        return False


def _region(data: Any) -> Region:
    text, parameters, sizes, fast = read_list(data, 4)
    keywords = {name: read_identifier(keyword) for name, keyword in read_mapping(sizes).items()}
    if not isinstance(fast, bool):
        raise ValueError("fast")
    return Region(read_text(text), tuple(map(read_identifier, read_list(parameters))), keywords, fast)


def _head(data: Any) -> Head:
    checks, formats, sizes = read_list(data, 3)
    if not (isinstance(checks, int) and isinstance(formats, int) and min(checks, formats) >= 0):
        raise ValueError("head")
    return Head(checks, formats, {name: read_identifier(v) for name, v in read_mapping(sizes).items()})


def _term(data: Any) -> tuple[DimLike, float]:
    dim, seconds = read_list(data, 2)
    if not isinstance(seconds, float) or not 0 <= seconds < float("inf"):
        raise ValueError("seconds")
    return read_dim(dim), seconds
