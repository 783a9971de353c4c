"""Calling compiled functions: kinds of arguments, dtypes, sizes, results."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import tpc

RIDGE = """
def ridge(X: f64[n, m], y: f64[n], penalty: f64 = 0.1) -> f64[m]:
    return (X' @ X + penalty * eye(m)) \\ (X' @ y)
"""
X = np.random.default_rng(0).standard_normal((7, 3))
y = np.arange(7.0)


def expected(penalty: float = 0.1) -> Any:
    return np.linalg.solve(X.T @ X + penalty * np.eye(3), X.T @ y)


@pytest.fixture(scope="module")
def ridge() -> tpc.Compiled:
    return tpc.compile(RIDGE)


def test_by_position_and_by_name(ridge: tpc.Compiled) -> None:
    np.testing.assert_allclose(ridge(X, y), expected())
    np.testing.assert_allclose(ridge(y=y, X=X), expected())
    np.testing.assert_allclose(ridge(X, y, penalty=2), expected(2))


@pytest.mark.parametrize(
    "given",
    [
        X.tolist(),
        np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2],
        X[::-1][::-1],
        X.astype(">f8"),
        scipy.sparse.csr_array(X),
    ],
    ids=["list", "fortran", "strided", "negative", "big-endian", "sparse"],
)
def test_kinds_of_arrays(ridge: tpc.Compiled, given: Any) -> None:
    np.testing.assert_allclose(ridge(given, y), expected())


def test_read_only_arguments_stay_as_they_are(ridge: tpc.Compiled) -> None:
    frozen = X.copy()
    frozen.flags.writeable = False
    np.testing.assert_allclose(ridge(frozen, y), expected())


def test_a_data_frame(ridge: tpc.Compiled) -> None:
    pandas = pytest.importorskip("pandas")
    np.testing.assert_allclose(ridge(pandas.DataFrame(X), pandas.Series(y)), expected())


def test_array_interface_and_dlpack(ridge: tpc.Compiled) -> None:
    class Interface:
        __array_interface__ = X.__array_interface__

    class Capsule:
        def __dlpack__(self, **options: Any) -> Any:
            return y.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return y.__dlpack_device__()

    np.testing.assert_allclose(ridge(Interface(), Capsule()), expected())


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float16", "float32", "bool"])
def test_exact_widening_is_silent(dtype: str) -> None:
    double = tpc.compile("def double(x: f64[n]) -> f64[n] = 2 * x")
    result = double(np.array([0, 1, 1], dtype))
    assert result.dtype == np.float64 and result.tolist() == [0, 2, 2]


def test_numbers_and_lists_take_the_declared_dtype() -> None:
    scaled = tpc.compile("def scaled(x: f32[n], s: f32) -> f32[n] = s * x")
    for s in (0.5, np.float64(0.5), np.array(0.5, np.float32)):
        assert scaled([1, 2.5], s).dtype == np.float32


def test_a_type_without_a_dtype_takes_the_callers() -> None:
    double = tpc.compile("def double(x: [n]) = x + x")
    for dtype in ("float32", "float64", "int32", "complex64"):
        assert double(np.ones(3, dtype)).dtype == dtype


def test_parameters_without_types() -> None:
    product = tpc.compile("def product(A, x) = A @ x")
    np.testing.assert_allclose(product(X, [1.0, 2, 3]), X @ [1, 2, 3])
    np.testing.assert_allclose(product(X[:2], [1.0, 2, 3]), X[:2] @ [1, 2, 3])
    with pytest.raises(tpc.TpcError) as caught:
        product(X, [1.0, 2])
    assert caught.value.diagnostics[0].code == "E0203"


@pytest.mark.parametrize("batch", [(), (4,), (2, 4)])
def test_batches(batch: tuple[int, ...]) -> None:
    gram = tpc.compile("def gram(A: f64[..., n, m]) -> f64[..., m, m] = A' @ A")
    A = np.random.default_rng(1).standard_normal((*batch, 3, 2))
    np.testing.assert_allclose(gram(A), np.swapaxes(A, -1, -2) @ A)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (1, 4), (5, 0)])
def test_awkward_sizes(shape: tuple[int, int]) -> None:
    gram = tpc.compile("def gram(A: f64[n, m]) -> f64[m, m] = A' @ A")
    assert gram(np.ones(shape)).tolist() == (np.ones(shape).T @ np.ones(shape)).tolist()


def test_sizes_that_are_polynomials() -> None:
    f = tpc.compile("def f(x: f64[2*n + 1], A: f64[n, n]) -> f64[n] = A @ x[0:n]")
    assert f(np.ones(7), np.eye(3)).tolist() == [1, 1, 1]


def test_several_results_are_a_named_tuple() -> None:
    f = tpc.compile("def f(x: f64[n]) -> (f64, f64):\n    low = min(x)\n    high = max(x)\n    return low, high\n")
    result = f([3.0, 1, 2])
    assert result.low == 1 and result.high == 3 and tuple(result) == (1, 3)


def test_out(ridge: tpc.Compiled) -> None:
    out = np.zeros(3)
    assert ridge(X, y, out=out) is out
    np.testing.assert_allclose(out, expected())


def test_one_compilation_for_all_sizes(ridge: tpc.Compiled) -> None:
    f = tpc.compile(RIDGE)
    for rows in (4, 5, 6):
        f(X[:rows], y[:rows])
    assert len(f._specialiser.made) == 1


def test_fixed_sizes() -> None:
    f = tpc.compile(RIDGE, dims={"m": 3})
    np.testing.assert_allclose(f(X, y), expected())
    with pytest.raises(tpc.TpcError) as caught:
        f(X[:, :2], y)
    assert caught.value.diagnostics[0].code == "E0805"


def test_what_can_be_seen() -> None:
    f = tpc.compile(RIDGE)
    assert repr(f) == "<tpc ridge(X: f64[n, m], y: f64[n], penalty: f64)>"
    assert isinstance(f.cost.flops, str) and "n" in f.cost.flops
    assert f.prepare() is f
    f(X, y)
    assert isinstance(f.cost.flops, int) and isinstance(f.cost.peak_bytes, int)
    assert f.cost.seconds is not None and 0 < f.cost.seconds < 1
    assert "import numpy" in f.source and "tpc." not in f.source
    assert "flops" in f.explain() and f.program.name == "ridge"
    assert "<pre>" in f._repr_html_() and "&#x27;" in f._repr_html_()
    compile(f.source, "<source>", "exec")


def test_verify() -> None:
    f = tpc.compile(RIDGE, verify=True)
    f(X, y)
    assert f.verification is not None and f.verification.startswith("verified")


def test_verify_finds_a_wrong_result() -> None:
    f = tpc.compile(RIDGE, verify=True)
    f.prepare()
    special = next(iter(f._specialiser.made.values()))
    object.__setattr__(special, "run", lambda *arrays: np.array([1.0, 2, 3]))
    with pytest.raises(tpc.InternalError):
        f(X, y)


def test_check_facts() -> None:
    f = tpc.compile("def f(A: f64[n, n] is spd, b: f64[n]) -> f64[n] = A \\ b", check_facts=True)
    f(np.eye(2), [1, 2])
    with pytest.raises(tpc.TpcError) as caught:
        f([[1, 2], [2, 1]], [1, 2])
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0812" and "eigenvalue" in diagnostic.title


def test_threads(ridge: tpc.Compiled) -> None:
    np.testing.assert_allclose(tpc.compile(RIDGE, threads=1)(X, y), expected())


def test_text_with_a_folder(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.ones(3))
    (tmp_path / "more.tp").write_text("def twice(x: f64[n]) -> f64[n] = 2 * x\n")
    text = 'use "more.tp"\nconst w: f64[3] = load("w.npy")\ndef f(x: f64[3]) -> f64[3] = twice(w * x)\n'
    assert tpc.compile(text, folder=tmp_path)([1, 2, 3]).tolist() == [2, 4, 6]
    with pytest.raises(tpc.TpcError):
        tpc.compile(text)


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "both.tp"
    path.write_text("def one(x: f64) -> f64 = x\ndef two(x: f64) -> f64 = 2 * x\n")
    library = tpc.load(path)
    assert dir(library) == ["one", "two"] and list(library) == ["one", "two"]
    assert library.two(4) == 8 and library.two is library.two
    with pytest.raises(AttributeError, match="did you mean 'two'"):
        library.twoo  # noqa: B018
    assert tpc.compile(path)(4) == 8 and tpc.compile(str(path), function="one")(4) == 4


def test_sizes_are_for_the_functions_that_have_them(tmp_path: Path) -> None:
    path = tmp_path / "both.tp"
    path.write_text("def one(x: f64[n]) -> f64[n] = x\ndef two(x: f64[m]) -> f64[m] = 2 * x\n")
    library = tpc.load(path, dims={"m": 2})
    assert library.one([1, 2, 3]).shape == (3,) and library.two([1, 2]).shape == (2,)
    with pytest.raises(tpc.TpcError, match="m is 2"):
        library.two([1, 2, 3])
    with pytest.raises(tpc.TpcError, match="has no size k"):
        tpc.load(path, dims={"k": 2})
    with pytest.raises(tpc.TpcError, match="there is no option `optimise`"):
        tpc.load(path, optimise=False)


def test_program() -> None:
    @tpc.program
    def double(x: Any) -> Any:
        """
        def double(x: f64[n]) -> f64[n] = 2 * x
        """

    assert double([1, 2]).tolist() == [2, 4]

    @tpc.program(check_facts=True)
    def other(x: Any) -> Any:
        """def f(x: f64[n] is nonnegative) -> f64[n] = sqrt(x)"""

    with pytest.raises(tpc.TpcError):
        other([-1.0])


class TestTorch:
    """Tensors in, tensors out."""

    @pytest.fixture(autouse=True)
    def torch(self) -> Any:
        pytest.importorskip("tpc.backends.torch")
        return pytest.importorskip("torch")

    def test_in_and_out(self, ridge: tpc.Compiled, torch: Any) -> None:
        result = ridge(torch.from_numpy(X), torch.from_numpy(y))
        assert isinstance(result, torch.Tensor) and result.dtype == torch.float64
        np.testing.assert_allclose(result.numpy(), expected())

    def test_numpy_on_torch_comes_back_as_numpy(self, torch: Any) -> None:
        result = tpc.compile(RIDGE, backend="torch")(X[::-1][::-1], y)
        assert isinstance(result, np.ndarray)
        np.testing.assert_allclose(result, expected())

    def test_torch_on_numpy_comes_back_as_torch(self, torch: Any) -> None:
        result = tpc.compile(RIDGE, backend="numpy")(torch.from_numpy(X), torch.from_numpy(y))
        assert isinstance(result, torch.Tensor)

    def test_gradient(self, ridge: tpc.Compiled, torch: Any) -> None:
        target = torch.from_numpy(y.copy()).requires_grad_()
        ridge(torch.from_numpy(X), target).sum().backward()
        assert target.grad is not None
        again = torch.from_numpy(y.copy()).requires_grad_()
        tpc.compile(RIDGE, backend="numpy")(torch.from_numpy(X), again).sum().backward()
        torch.testing.assert_close(again.grad, target.grad)

    def test_narrowing_is_an_error(self, ridge: tpc.Compiled, torch: Any) -> None:
        f = tpc.compile("def f(x: f32[n]) -> f32[n] = 2 * x")
        with pytest.raises(tpc.TpcError) as caught:
            f(torch.ones(3, dtype=torch.float64))
        assert "x.to(torch.float32)" in (caught.value.diagnostics[0].help or "")
        assert f(torch.ones(3, dtype=torch.bfloat16)).dtype == torch.float32
