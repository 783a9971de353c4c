"""Beginners' mistakes at the Python interface: each gives the message that `mistakes.txt` shows.

`--update-docs` rewrites the messages there, never the names.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tpc

GOLDEN = Path(__file__).with_name("mistakes.txt")
GLS = """
def gls(X: f64[n, m], M: f64[n, n] is spd, y: f64[n]) -> f64[m] where n > m:
    return inv(X' @ inv(M) @ X) @ X' @ inv(M) @ y
"""
SINGLE = "def f(x: f32[n], s: f32 = 1) -> f32[n] = s * x"
X, M, y = np.ones((5, 2)), np.eye(5), np.ones(5)


def gls(*args: Any, **kwargs: Any) -> Any:
    return tpc.compile(GLS)(*args, **kwargs)


def single(*args: Any, **kwargs: Any) -> Any:
    return tpc.compile(SINGLE)(*args, **kwargs)


def documented(x: Any) -> None:
    """def documented(x: f64[n]) -> f64[n] = 2 * x"""


MISTAKES: dict[str, Callable[[], Any]] = {
    "an argument is missing": lambda: gls(X, M),
    "too many arguments": lambda: gls(X, M, y, 1),
    "a misspelt name": lambda: gls(X, M, Y=y),
    "given twice": lambda: gls(X, M, y, y=y),
    "a size as an argument": lambda: gls(X, M, y, n=5),
    "the wrong way round": lambda: gls(X.T, M, y),
    "a shape that does not fit": lambda: gls(X, M, y[:4]),
    "a column for a vector": lambda: gls(X, M, y[:, None]),
    "a vector for a matrix": lambda: gls(y, M, y),
    "not enough rows": lambda: gls(np.ones((2, 2)), np.eye(2), np.ones(2)),
    "complex data": lambda: gls(X, M, y + 1j),
    "double precision for single": lambda: single(y),
    "a file name": lambda: single("x.npy"),
    "rows of different length": lambda: gls([[1, 2], [3]], M, y),
    "text in an array": lambda: single(np.array(["1", "2"])),
    "objects in an array": lambda: single(np.array([1, None], object)),
    "None": lambda: single(None),
    "a masked array": lambda: single(np.ma.masked_invalid([1.0, np.nan])),
    "a large integer": lambda: tpc.compile("def f(k: i8) -> i8 = k")(300),
    "a decimal for an integer": lambda: tpc.compile("def f(k: i32) -> i32 = k")(2.5),
    "a size that nothing tells": lambda: tpc.compile("def f(x: f64[n*m], y: f64[n*m]) -> f64[n*m] = x + y")(y, y),
    "an odd number for 2 n": lambda: tpc.compile("def f(x: f64[2*n]) -> f64[n] = x[0:n]")(y),
    "out of another dtype": lambda: single(y.astype("f4"), out=np.zeros(5)),
    "a function that is not there": lambda: tpc.compile(GLS, function="glss"),
    "a backend that is not there": lambda: tpc.compile(GLS, backend="nunpy"),  # type: ignore[arg-type]
    "a tolerance": lambda: tpc.compile(GLS, tolerance=2),
    "a budget": lambda: tpc.compile(GLS, memory=400)(X, M, y),
    "a budget of nothing": lambda: tpc.compile(GLS, memory=0),
    "neither program nor file": lambda: tpc.compile("ridge"),
    "a file that is not there": lambda: tpc.compile("missing-7f3.tp"),
    "a Python function": lambda: tpc.compile(len),  # type: ignore[arg-type]
    "a size that is not there": lambda: tpc.compile(GLS, dims={"k": 3}),
    "sizes without a number": lambda: tpc.compile(GLS, dims=["n"]),  # type: ignore[arg-type]
    "a size by its place": lambda: tpc.compile(GLS, dims={0: 3}),  # type: ignore[dict-item]
    "an option that is not there": lambda: tpc.program(optimize=True)(documented),
    "data that break a promise": lambda: tpc.compile(GLS, check_facts=True)(X, -M, y),
    "a singular matrix": lambda: tpc.compile("def f(A: f64[n, n], b: f64[n]) -> f64[n] = A \\ b")(
        np.zeros((2, 2)), [1, 2]
    ),
    "two faults at once": lambda: gls(X[:, 0], M, "y"),
}


def message(name: str) -> str:
    with pytest.raises(tpc.TpcError) as caught:
        MISTAKES[name]()
    return str(caught.value).strip()


def shown() -> dict[str, str]:
    parts = re.split(r"^==== (.*)\n", GOLDEN.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (p.strip() for p in parts[2::2]), strict=True))


def test_every_mistake_is_shown(update_docs: bool) -> None:
    if update_docs:
        GOLDEN.write_text("".join(f"==== {name}\n{message(name)}\n\n" for name in MISTAKES), "utf-8")
    assert list(shown()) == list(MISTAKES)


@pytest.mark.parametrize("name", MISTAKES)
def test_message(name: str) -> None:
    assert message(name) == shown()[name]


@pytest.mark.parametrize("name", MISTAKES)
def test_message_says_what_to_do(name: str) -> None:
    with pytest.raises(tpc.TpcError) as caught:
        MISTAKES[name]()
    for diagnostic in caught.value.diagnostics:
        assert re.fullmatch(r"E(07|08|09|10)\d\d", diagnostic.code)
        assert not diagnostic.title.endswith(".")
        assert diagnostic.code == "E0815" or diagnostic.help or diagnostic.notes or diagnostic.labels
