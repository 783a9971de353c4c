"""Structured parameters from outside: what is given for a matrix that is stored in parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tpc.dsl.diagnostics import Label, fail
from tpc.function import Function, Parameter


def spread(
    function: Function, positional: Sequence[object], named: Mapping[str, object]
) -> tuple[list[object], dict[str, object]]:
    """The arguments with the parts of a structured matrix in its place.

    It may be given as a tuple of its parts, as a mapping from their names, or part by part: by position, or by name as
    `W_U` or `W.U`.

    Raises
    ------
    TpcError
        E0808 if a tuple or mapping has other parts.
    """
    parameters = function.parameters
    if not any(p.whole for p in parameters):
        return list(positional), dict(named)
    flat: list[object] = []
    for value in positional:
        whole = parameters[len(flat)].whole if len(flat) < len(parameters) else ""
        if whole and isinstance(value, (tuple, Mapping)):
            flat += _parts(function, whole, value).values()
        else:
            flat.append(value)
    given: dict[str, object] = {}
    wholes = {p.whole for p in parameters if p.whole}
    for name, value in named.items():
        if name in wholes:
            given |= _parts(function, name, value if isinstance(value, (tuple, Mapping)) else (value,))
        else:
            given[name.replace(".", "_") if name.partition(".")[0] in wholes else name] = value
    return flat, given


def of(parameters: Iterable[Parameter], whole: str) -> dict[str, Parameter]:
    """The parameters for the parts of a matrix, by what the parts are called."""
    return {p.name.removeprefix(f"{whole}_"): p for p in parameters if p.whole == whole}


def _parts(function: Function, whole: str, value: tuple[object, ...] | Mapping[str, object]) -> dict[str, object]:
    parts = of(function.parameters, whole)
    listed = ", ".join(f"`{name}`" for name in parts)
    place = Label(next(iter(parts.values())).span, "declared here")
    if isinstance(value, Mapping):
        wrong = [name for name in value if name not in parts] or [name for name in parts if name not in value]
        if wrong:
            what = "has no part" if wrong[0] in value else "is not given its part"
            raise fail("E0808", f"`{whole}` {what} `{wrong[0]}`", place, help=f"its parts are {listed}")
        return {parts[name].name: value[name] for name in parts}
    if len(value) != len(parts):
        count = f"{len(parts)} part" + "s" * (len(parts) != 1)
        are = "is" if len(value) == 1 else "are"
        help = f"its parts are {listed}, given as a tuple, a mapping, or each by its name"
        raise fail("E0808", f"`{whole}` has {count}, and {len(value)} {are} given", place, help=help)
    return {p.name: item for p, item in zip(parts.values(), value, strict=True)}
