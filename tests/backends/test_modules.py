"""Emitted modules stand alone: saved and imported where tpc is not, they say what is wrong with an argument."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tpc.backends import backend
from tpc.backends.contract import Emitted
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.source import Source
from tpc.ir.build import input_node, make
from tpc.ir.dims import named
from tpc.ir.elaborate.module import check
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import CONSTANT, ConstantData
from tpc.ir.types import F64, TensorType

from .contract import BACKENDS, plain, run

PROGRAMS = """
def gls(X: f64[n, m], M: f64[n, n], y: f64[n]) -> f64[m] where n > m:
    return inv(X' @ inv(M) @ X) @ X' @ inv(M) @ y

def layer(x: f32[b, 2*k + 1], g: f32[2*k + 1]) -> f32[b, 2*k + 1]:
    return layernorm(x, g)

def folded(x: f64[n*m], y: f64[n]) -> f64[n, m]:
    return unvec(x, n, m) + reshape(y, n, 1)

def noise(x: f64[n], s: f64 = 0.5) -> f64[n, 3]:
    return s * normal(n, 3, seed=7) + reshape(x, n, 1)

def cg(A: f64[n, n], b: f64[n], tol: f64 = 1e-10) -> f64[n]:
    x, r, p = zeros(n), b, b
    repeat 1000 until norm(r) <= tol * norm(b):
        q = A @ p
        a = dot(r, r) / dot(p, q)
        x, s = x + a * p, r - a * q
        p, r = s + (dot(s, s) / dot(r, r)) * p, s
    return x

def lds(A: f64[k, k], x0: f64[k], u: f64[t, k]) -> (f64[t, k], f64[k]):
    x = x0
    scan i in t:
        x = A @ x + u[i]
        ys[i] = x
    return ys, x

def pick(x: f64[n], at: i64[m]) -> f64[m]:
    return x[at]

def entry(x: f64[n], i: i64) -> f64:
    return x[i]

def factor(A: f64[n, n]) -> f64[n, n]:
    L = cholesky(A + A')
    return L

def solved(A: f64[n, n], b: f64[n]) -> f64[n]:
    return A \\\\ b
""".replace("\\\\\\\\", "\\\\")


def programs() -> tuple[dict[str, Program], Any]:
    checked = check(Source(PROGRAMS.replace("\\\\", "\\"), "programs.tp"))
    assert not checked.diagnostics.errors, [d.title for d in checked.diagnostics.errors]
    return checked.programs, checked.module.notes.names


def emitted(backend_name: str, name: str) -> Emitted:
    found, names = programs()
    return backend(backend_name).emit(found[name], names)


def load(backend_name: str, name: str) -> Any:
    return backend(backend_name).load(emitted(backend_name, name))


def in_subprocess(folder: Path, code: str) -> str:
    """What a program prints in an interpreter that cannot import tpc."""
    paths = [p for p in sys.path if p.endswith("site-packages")]
    start = f"import sys\nsys.path[:0] = {[str(folder)]!r}\nsys.path += {paths!r}\n"
    start += "sys.modules['tpc'] = None\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", start + code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("backend_name", BACKENDS)
@pytest.mark.parametrize("name", ["gls", "layer", "noise", "cg", "lds"])
def test_runs_without_tpc(tmp_path: Path, backend_name: str, name: str) -> None:
    found, _ = programs()
    rng = np.random.default_rng(0)
    sizes = {"n": 5, "m": 2, "b": 3, "k": 2, "t": 4}
    from tpc.ir.dims import evaluate

    shapes = [tuple(evaluate(d, sizes) for d in i.tensor.dims) for i in found[name].inputs]
    arrays = [
        rng.standard_normal(s).astype(i.tensor.dtype.numpy) for s, i in zip(shapes, found[name].inputs, strict=True)
    ]
    if name == "cg":
        arrays[0] = arrays[0] @ arrays[0].T + np.eye(5)
        arrays[2] = np.float64(1e-10)
    module = emitted(backend_name, name)
    (tmp_path / "saved.py").write_text(module.source, encoding="utf-8")
    np.savez(tmp_path / "arguments.npz", *arrays)
    convert = "torch.from_numpy(a) if a.ndim else a" if backend_name == "torch" else "a"
    printed = in_subprocess(
        tmp_path,
        "import numpy as np, saved\n"
        + ("import torch\n" if backend_name == "torch" else "")
        + f"given = np.load({str(tmp_path / 'arguments.npz')!r})\n"
        + f"result = saved.{name}(*[{convert} for a in (given[k] for k in given)])\n"
        + "result = result[0] if isinstance(result, tuple) else result\n"
        + "print(float(abs(result).sum()))",
    )
    expected = run(backend_name, found[name], arrays)[0]
    np.testing.assert_allclose(float(printed), np.abs(plain(expected)).sum(), rtol=1e-6)


def constant_program(size: int) -> Program:
    data = ConstantData("weights/w.npy", "0", np.arange(float(size)))
    constant = Node(CONSTANT, (), (("name", "w"), ("data", data)), TensorType(F64, (size,)))
    x = input_node("x", TensorType(F64, (size,)))
    return Program("scaled", (x,), (make("mul", (x, constant)), constant), ("y", "w"))


@pytest.mark.parametrize("backend_name", BACKENDS)
def test_constants(tmp_path: Path, backend_name: str) -> None:
    """A small constant is written out; a large one lies beside the module; results do not share its memory."""
    chosen = backend(backend_name)
    small, large = chosen.emit(constant_program(3)), chosen.emit(constant_program(100))
    assert not small.constants and "np.load" not in small.source
    assert [plain(c).shape for c in large.constants.values()] == [(100,)]
    function = chosen.load(large)
    from .contract import given

    argument = given(backend_name, np.ones(100), F64)
    _, constant = function(argument)
    constant[:] = 0
    product, _ = function(argument)
    np.testing.assert_array_equal(plain(product), np.arange(100.0))
    (tmp_path / "saved.py").write_text(large.source, encoding="utf-8")
    np.save(tmp_path / "w.npy", np.arange(100.0))
    make_argument = "torch.ones(100, dtype=torch.float64)" if backend_name == "torch" else "np.ones(100)"
    imports = "import numpy as np, saved\n" + ("import torch\n" if backend_name == "torch" else "")
    assert float(in_subprocess(tmp_path, f"{imports}print(float(saved.scaled({make_argument})[0].sum()))")) == 4950


@pytest.mark.parametrize("backend_name", BACKENDS)
def test_shapes_that_do_not_fit(backend_name: str) -> None:
    from .contract import given

    def arrays(*shapes: tuple[int, ...]) -> list[Any]:
        return [given(backend_name, np.ones(s), F64) for s in shapes]

    gls = load(backend_name, "gls")
    for shapes, wanted in [
        (((5, 2), (5, 4), (5,)), "M must have the shape \\(5, 5\\), but has \\(5, 4\\)"),
        (((5, 2), (5, 5), (4,)), "y must have the shape \\(5\\), but has \\(4,\\)"),
        (((5,), (5, 5), (5,)), "X must have the shape \\(n, m\\), but has \\(5,\\)"),
        (((2, 5), (2, 2), (2,)), "gls needs n > m"),
    ]:
        with pytest.raises(ValueError, match=wanted):
            gls(*arrays(*shapes))
    with pytest.raises(ValueError, match="A must have the shape \\(n, n\\)"):
        load(backend_name, "factor")(*arrays((2, 3)))
    layer = load(backend_name, "layer")
    for shapes in [((2, 4), (4,)), ((2, 3), (5,))]:
        with pytest.raises(ValueError, match="must have the shape"):
            layer(*arrays(*shapes))
    folded = load(backend_name, "folded")
    assert tuple(folded(*arrays((6,), (2,))).shape) == (2, 3)
    with pytest.raises(ValueError, match="x must have the shape"):
        folded(*arrays((7,), (2,)))


@pytest.mark.parametrize("backend_name", BACKENDS)
def test_what_breaks_a_promise_is_named(backend_name: str) -> None:
    from .contract import given

    def g(array: Any) -> Any:
        return given(backend_name, np.asarray(array, dtype=float), F64)

    singular = g(np.ones((3, 3)))
    with pytest.raises(np.linalg.LinAlgError, match="M is singular"):
        load(backend_name, "gls")(g(np.ones((3, 1))), singular, g(np.ones(3)))
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        load(backend_name, "factor")(g(-np.eye(2)))
    with pytest.raises(np.linalg.LinAlgError, match="A is singular"):
        load(backend_name, "solved")(singular, g(np.ones(3)))


@pytest.mark.parametrize("backend_name", BACKENDS)
def test_positions_outside_of_an_array(backend_name: str) -> None:
    """No position counts from the end, and none is clipped."""
    found, _ = programs()
    x = np.arange(4.0)
    np.testing.assert_array_equal(plain(run(backend_name, found["pick"], [x, np.array([3, 0])])[0]), [3, 0])
    for wrong in (-1, 4):
        with pytest.raises(IndexError):
            run(backend_name, found["pick"], [x, np.array([0, wrong])])
        with pytest.raises(IndexError):
            run(backend_name, found["entry"], [x, np.int64(wrong)])
    assert run(backend_name, found["pick"], [x[:0], np.zeros(0, int)])[0].shape == (0,)


@pytest.mark.parametrize("backend_name", BACKENDS)
def test_results_share_no_memory(backend_name: str) -> None:
    """An argument that is a result, or of which a result is a part, is copied."""
    text = """
def views(x: f64[n, m], c: f64) -> (f64[n, m], f64[m, n], f64[m], f64[n*m], f64[n, m], f64[n, m]):
    y = x
    repeat 2:
        y = x
    if c > 0:
        z = x
    else:
        z = x + 1
    return x, x', x[0], vec(x), y, z
"""
    program = check(Source(text, "views.tp")).programs["views"]
    x = np.ones((2, 3))
    from .contract import compiled, given

    argument = given(backend_name, x, F64)
    for result in compiled(backend_name, program)(argument, 1.0):
        result[...] = 7
        assert (plain(argument) == 1).all()


def test_source_is_the_same_every_time() -> None:
    found, names = programs()
    for name in BACKENDS:
        first = [backend(name).emit(p, names).source for p in found.values()]
        assert first == [backend(name).emit(p, names).source for p in found.values()]


def test_sizes_that_no_shape_tells() -> None:
    """They are keywords of the function."""
    n = named("n")
    program = Program("z", (), (make("zeros", (), dims=(n,), dtype=None),), ("z",))
    made = backend("numpy").emit(program)
    assert dict(made.sizes) == {"n": "n"}
    assert backend("numpy").load(made)(n=3).shape == (3,)


def test_long_programs_are_not_nested() -> None:
    """A chain of thousands of operations parses."""
    x = input_node("x", TensorType(F64, ()))
    node: Node = x
    for _ in range(3000):
        node = make("add", (make("sin", (node,)), x))
    made = backend("numpy").emit(Program("chain", (x,), (node,), ("y",)))
    assert max(map(len, made.source.splitlines())) < 120
    assert np.isfinite(backend("numpy").load(made)(0.1))


READS_WELL = '''def gls(X, M, y):
    """gls(X: f64[n, m], M: f64[n, n], y: f64[n]) -> f64[m]"""
    X = np.asarray(X, np.float64)
    M = np.asarray(M, np.float64)
    y = np.asarray(y, np.float64)
    n, m = _shape("X", X, ("n", "m"))
    _shape("M", M, (n, n))
    _shape("y", y, (n,))
    if not n > m:
        raise ValueError("gls needs n > m")
    t1 = X.T  # f64[m, n]
    inv_M = _inv(M, "M")  # f64[n, n]
    t2 = _inv(t1 @ inv_M @ X, "t1 @ inv_M @ X")  # f64[m, m]
    return t2 @ t1 @ inv_M @ y
'''


def test_reads_like_an_experts() -> None:
    """The code of a known program, word for word."""
    assert emitted("numpy", "gls").source.endswith(READS_WELL)


def test_a_saved_module_takes_lists_and_integers(tmp_path: Path) -> None:
    """Powers of integers would wrap, were they not brought into the format of the program."""
    checked = check(Source("def power(x: f64[n]) -> f64[n] = x^20", "power.tp"))
    source = backend("numpy").emit(checked.programs["power"]).source
    (tmp_path / "saved.py").write_text(source, encoding="utf-8")
    for argument in ("[10, 300]", "np.array([10, 300])"):
        printed = in_subprocess(tmp_path, f"import numpy as np, saved\nprint(saved.power({argument})[1])")
        assert float(printed) == 300.0**20


def test_what_is_not_built_says_so() -> None:
    text = """
def loss(x: f64[n]) -> f64:
    return sum(x^2)

def slope(x: f64[n]) -> f64[n]:
    return grad(loss)(x)
"""
    checked = check(Source(text, "later.tp"))
    for chosen in BACKENDS:
        with pytest.raises(TpcError) as caught:
            backend(chosen).emit(checked.programs["slope"])
        assert caught.value.diagnostics[0].code == "E1001"
