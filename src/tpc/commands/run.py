"""`tpc run`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tpc.commands.arguments import (
    backend_option,
    checked_source,
    dims_option,
    function_option,
    input_names,
    json_option,
    memory_option,
    mode_option,
    parse_memory,
    threads_option,
    tolerance_option,
)
from tpc.console import print_json, progress, talk
from tpc.dsl.diagnostics import fail

if TYPE_CHECKING:
    from tpc.compiled import Compiled
    from tpc.function import Function

SHOWN = 60  # entries beyond which a result is shortened


def _pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in values:
        name, sign, text = item.partition("=")
        if not sign or not name.replace(".", "_").isidentifier() or not text:
            raise click.BadParameter(f"`{item}` is not of the form X=x.npy, without spaces", context, parameter)
        if name in pairs:
            raise click.BadParameter(f"`{name}` is given twice", context, parameter)
        pairs[name] = text
    return pairs


@click.command(
    "run",
    epilog="""Values: a file (.npy .npz .csv .tsv .mtx .safetensors), an array or columns in it (data.npz:X,
    y.csv:price), a number, a list such as [1,2], true, false; and random, random:SEED, zeros, ones for inputs
    whose sizes are known.""",
)
@click.argument("file", type=click.Path(), is_eager=True)
@click.argument("inputs", nargs=-1, metavar="[X=x.npy]...", callback=_pairs, shell_complete=input_names)
@function_option
@click.option(
    "-o", "--out", "outs", multiple=True, metavar="[NAME=]FILE", help="Save the results (or one of them) to a file."
)
@dims_option
@mode_option
@backend_option
@click.option("--seed", default=0, type=click.IntRange(0), help="The seed of `random` inputs.")
@threads_option
@memory_option
@tolerance_option
@click.option("--max-memory", callback=parse_memory, metavar="2GB", help="Refuse what would take more.")
@click.option("--check-facts", is_flag=True, help="Test that inputs are what they are declared to be, such as spd.")
@click.option("--verify", is_flag=True, help="Compare the results with the reference interpreter.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but results and errors.")
@json_option
def command(
    file: str,
    inputs: dict[str, str],
    function: str | None,
    outs: tuple[str, ...],
    dims: dict[str, int],
    mode: str,
    backend: str,
    seed: int,
    threads: int | None,
    memory: int | None,
    tolerance: float,
    max_memory: int | None,
    check_facts: bool,
    verify: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run a program on data and print the results, or save them with --out."""
    from tpc.compiled import Compiled
    from tpc.function import choose
    from tpc.memory import limited
    from tpc.settings import Settings

    limits: dict[str, Any] = {"memory": memory, "threads": threads, "tolerance": tolerance}
    settings = Settings(backend, dims, mode, **limits, verify=verify, check_facts=check_facts)  # type: ignore[arg-type]
    quiet = quiet or as_json
    notes: list[str] = []
    with limited(max_memory):
        chosen = choose(checked_source(file, quiet), function)
        compiled = Compiled(chosen, settings)
        _check_suffixes(outs)
        with progress("reading data"):
            values = _values(chosen, inputs, dims, seed, notes)
        with progress("running"):
            results = compiled.run(values, _manner(notes))
        files = _files(outs, results)
        if files:
            from tpc.results import write

            with progress("writing"):
                write(files)
    if compiled.verification is not None:
        notes.append(compiled.verification)
    if as_json:
        _print_json(compiled, results, files, notes)
        return 0
    for note in [] if quiet else notes:
        talk(f"note: {note}")
    if not files:
        click.echo(_shown(compiled, results), nl=False)
    if not quiet:
        for path, values_there in files.items():
            talk(f"wrote {path}: {', '.join(values_there)}")
        talk(f"ran `{compiled.__name__}` in {_duration(compiled.seconds)}")
    return 0


def _manner(notes: list[str]) -> Any:
    from tpc.binding import Manner

    return Manner("`--dim`", "`{}` with rows and columns exchanged", "`{0}={0}.npy`", notes.append)


def _values(
    function: Function, pairs: Mapping[str, str], dims: Mapping[str, int], seed: int, notes: list[str]
) -> dict[str, object]:
    from tpc.binding import match
    from tpc.data import split_member
    from tpc.given import make, parse_all
    from tpc.parts import of, spread

    manner = _manner(notes)
    given: dict[str, str] = {}
    for name, value in pairs.items():  # `W=parts.npz` has an array for each part of W
        parts = of(function.parameters, name) if split_member(value)[0].endswith(".npz") else {}
        given |= {p.name: f"{value}:{part}" for part, p in parts.items()} or {name: value}
    flat = {name: str(value) for name, value in spread(function, (), given)[1].items()}
    match(function, (), flat, manner)  # names first: a wrong one is said before any file is read
    return make(function, match(function, (), parse_all(flat, seed), manner), dims, manner)


def _check_suffixes(outs: Sequence[str]) -> None:
    """Refuse unknown formats before the work, not after it."""
    from tpc.formats import module

    for out in outs:
        name = out.partition("=")[2] or out
        module(Path(name).suffix, name)


def _files(outs: Sequence[str], results: Mapping[str, Any]) -> dict[Path, dict[str, Any]]:
    """What is written where."""
    from tpc.ir.elaborate.scope import suggestion

    files: dict[Path, dict[str, Any]] = {}
    for out in outs:
        name, sign, path = out.partition("=")
        if not sign:
            files.setdefault(Path(out), {}).update(results)
            continue
        if name not in results:
            close = suggestion(name, results)
            listed = ", ".join(f"`{r}`" for r in results)
            help = f"did you mean `{close}`?" if close else f"the results are {listed}"
            raise fail("E0808", f"there is no result `{name}`", help=help)
        files.setdefault(Path(path), {})[name] = results[name]
    return files


def _type_text(array: Any) -> str:
    from tpc.ir.arrays import type_of_array

    return str(type_of_array(array))


def _shown(compiled: Compiled, results: Mapping[str, Any]) -> str:
    """The results as text, the middle of large ones left out."""
    import numpy as np

    parts = []
    for name, value in results.items():
        array = np.asarray(value)
        text = str(array[()])
        if array.ndim:
            text = np.array2string(array, threshold=SHOWN, edgeitems=3, precision=6, max_line_width=100)
        sign = " = " if "\n" not in text and array.ndim < 2 else " =\n"
        parts.append(f"{name}: {_type_text(array)}{sign}{text}\n")
    return "".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _print_json(
    compiled: Compiled,
    results: Mapping[str, Any],
    files: Mapping[Path, Mapping[str, Any]],
    notes: Sequence[str],
) -> None:
    import numpy as np

    def item(name: str, value: Any) -> dict[str, Any]:
        array = np.asarray(value)
        dtype = _type_text(array).partition("[")[0]
        return {"name": name, "dtype": dtype, "shape": list(array.shape), "values": _plain(array.tolist())}

    print_json(
        True,
        function=compiled.__name__,
        results=[item(name, value) for name, value in results.items()],
        files={str(path): list(names) for path, names in files.items()},
        notes=list(notes),
        seconds=compiled.seconds,
    )


def _plain(value: Any) -> Any:
    """Numbers as JSON has them: complex as pairs; NaN and infinities as text."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
