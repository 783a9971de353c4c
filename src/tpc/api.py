"""What `import tpc` offers: `compile`, `load` and `program`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, overload

from tpc.compiled import Compiled
from tpc.dsl.diagnostics import fail
from tpc.dsl.source import Source
from tpc.files import FolderFiles, decoded, read_program
from tpc.function import Function, check_sizes, choose
from tpc.ir.elaborate.files import Files
from tpc.ir.elaborate.module import Checked, check
from tpc.ir.elaborate.scope import suggestion
from tpc.settings import BackendName, Mode, Settings, chosen

F = TypeVar("F", bound=Callable[..., Any])


def compile(
    text_or_path: str | os.PathLike[str],
    *,
    function: str | None = None,
    backend: BackendName = "auto",
    dims: Mapping[str, int] | None = None,
    mode: Mode = "stable",
    tolerance: float = 0.0,
    memory: int | str | None = None,
    threads: int | None = None,
    verify: bool = False,
    check_facts: bool = False,
    calls: int = 100,
    folder: str | os.PathLike[str] | None = None,
) -> Compiled:
    """Compile a function of a program.

    Parameters
    ----------
    text_or_path
        The program itself, or the path of a `.tp` file.
    function
        Its name; without one the function called `main` is meant, or else the last.
    backend
        `numpy`, `torch`, `llvm`, or `auto`: torch for torch tensors, and else numpy, until native code pays and is
        found to be faster.
    dims
        Sizes to fix, by name: `{"n": 1000}`. The others follow from the shapes of the arguments at each call.
    mode
        What may change in rounding: `bitwise` computes what is written as it is written; `stable` takes equal forms
        that keep the error bound; `fast` takes all that are equal in exact arithmetic.
    tolerance
        The relative error (Frobenius norm) that each result may have, below 1: it is spent over the constants that
        a result is computed with. The error is bounded at each call, which takes the exact result where the bound is
        larger. See `.certificates`, and `~=` in the language for errors of single values.
    memory
        Bytes that the program may hold at one time, arguments and results included: `"512MB"`, or a number. Values are
        computed again where they do not fit; results stay the same. Each size that is called has a plan of its own.
    threads
        How many threads the linear algebra may use.
    verify
        Compare every result with the reference interpreter, where the sizes allow that. What it showed stands in
        `.verification`; a wrong result raises `InternalError`.
    check_facts
        Test at each call that the arguments have the facts that are declared of them, such as `spd`.
    calls
        How often the function is called with the same parameters, those declared `is param`: the work that depends on
        them alone counts a share of its time, and is done once (see `Compiled.prepare`).
    folder
        Where `use` and `load` of a program given as text find their files.

    Returns
    -------
    Compiled
        To be called with arrays, by position or by name.

    Raises
    ------
    TpcError
        If the program or an option is wrong; `.diagnostics` has the messages.

    Examples
    --------
    >>> import tpc
    >>> f = tpc.compile("def scaled(x: f64[n], s: f64 = 2) -> f64[n] = s * x")
    >>> f([1, 2, 3])
    array([2., 4., 6.])
    """
    settings = chosen(
        {
            "backend": backend,
            "dims": dims,
            "mode": mode,
            "tolerance": tolerance,
            "memory": memory,
            "threads": threads,
            "verify": verify,
            "check_facts": check_facts,
            "calls": calls,
        }
    )
    source, files = _source(text_or_path, folder)

    def elaborated() -> Function:
        checked = check(source, files)
        checked.diagnostics.raise_errors()
        return choose(checked, function)

    from tpc.cache import recall, remember

    found = recall(source, function, elaborated) or elaborated()
    found.check_sizes(settings.dims)
    return Compiled(found, settings, lambda whole, programs: remember(whole, source, function, programs))


def load(path: str | os.PathLike[str], **options: Any) -> Library:
    """The functions of a `.tp` file, as attributes.

    Parameters
    ----------
    path
        The file.
    **options
        Those of `compile`, for all functions; sizes are for those functions that have them.

    Raises
    ------
    TpcError
        If the file cannot be read, or the program is wrong.

    Examples
    --------
    >>> gls = tpc.load("gls.tp").gls                              # doctest: +SKIP
    """
    settings = chosen(options)
    source, files = _from_file(Path(path))
    checked = check(source, files)
    checked.diagnostics.raise_errors()
    sizes = [size for name in checked.module.order for size in choose(checked, name).size_names]
    check_sizes(source.name, list(dict.fromkeys(sizes)), settings.dims)
    return Library(checked, settings, source.name)


@overload
def program(function: F) -> Compiled: ...
@overload
def program(**options: Any) -> Callable[[F], Compiled]: ...
def program(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Take the program from a Python function's docstring.

    The docstring holds the text of a program; the function of the same name in it is meant, or else its default. The
    body of the Python function is never run. Files are found in the folder of the Python file.

    Examples
    --------
    >>> @tpc.program
    ... def ridge(X, y, penalty=0.1):
    ...     '''
    ...     def ridge(X: f64[n, m], y: f64[n], penalty: f64 = 0.1) -> f64[m]:
    ...         return (X' @ X + penalty * eye(m)) \\\\ (X' @ y)
    ...     '''
    """
    if function is None:
        return lambda decorated: _from_docstring(decorated, options)
    return _from_docstring(function, options)


def _from_docstring(function: Callable[..., Any], options: dict[str, Any]) -> Compiled:
    name = getattr(function, "__name__", "program")
    text = inspect.cleandoc(getattr(function, "__doc__", None) or "")
    if "def " not in text:
        raise fail(
            "E1004",
            f"`{name}` has no program in its docstring",
            help='write one there: `"""def f(x: f64[n]) = 2 * x"""`',
        )
    try:
        folder: Path | None = Path(inspect.getfile(function)).parent
    except (OSError, TypeError):
        folder = None
    settings = chosen(options)
    files = FolderFiles(folder) if folder is not None and folder.is_dir() else None
    checked = check(Source(f"{text}\n", name), files)
    checked.diagnostics.raise_errors()
    found = choose(checked, name if name in checked.module.definitions else None)
    found.check_sizes(settings.dims)
    return Compiled(found, settings)


class Library:
    """The functions of a program, as attributes; see `load`."""

    def __init__(self, checked: Checked, settings: Settings, name: str) -> None:
        self._checked = checked
        self._settings = settings
        self._name = name
        self._compiled: dict[str, Compiled] = {}

    def __getattr__(self, name: str) -> Compiled:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._checked.module.definitions:
            close = suggestion(name, self._checked.module.definitions)
            listed = ", ".join(self._checked.module.order)
            hint = f"did you mean {close!r}?" if close else f"its functions are: {listed}"
            raise AttributeError(f"{self._name} has no function {name!r}; {hint}")
        if name not in self._compiled:
            function = choose(self._checked, name)
            dims = {size: value for size, value in self._settings.dims.items() if size in function.size_names}
            self._compiled[name] = Compiled(function, replace(self._settings, dims=dims))
        return self._compiled[name]

    def __dir__(self) -> list[str]:
        return list(self._checked.module.order)

    def __iter__(self) -> Iterator[str]:
        return iter(self._checked.module.order)

    def __repr__(self) -> str:
        return f"<tpc {self._name}: {', '.join(self._checked.module.order)}>"


def _source(given: str | os.PathLike[str], folder: str | os.PathLike[str] | None) -> tuple[Source, Files | None]:
    """The text that is meant, and what it may read."""
    if isinstance(given, bytes):
        given = decoded(given, "<bytes>")
    if isinstance(given, str):
        if "\n" in given or "def " in given:
            return Source(given, "<text>"), None if folder is None else FolderFiles(Path(folder))
        looks_like_path = given.endswith(".tp") or os.path.exists(given)
        if not looks_like_path:
            raise fail(
                "E0705",
                f"`{given[:60]}` is neither a program nor a file",
                help="a program has a `def`, as in `def f(x: f64[n]) = 2 * x`; a file ends in `.tp`",
            )
    elif not isinstance(given, os.PathLike):
        raise fail(
            "E1004",
            f"a program is given as text or as a path, not as a {type(given).__name__}",
            help="for a Python function with the program in its docstring, use `@tpc.program`",
        )
    return _from_file(Path(given), None if folder is None else Path(folder))


def _from_file(path: Path, folder: Path | None = None) -> tuple[Source, FolderFiles]:
    name = str(path)
    return read_program(path, name), FolderFiles(folder or path.parent, (name, path))
