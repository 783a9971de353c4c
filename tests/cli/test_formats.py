"""Data files: what is written is read again, and what is wrong is refused with a code."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tpc import memory, results
from tpc.data import read, shaped
from tpc.dsl.diagnostics import TpcError

rng = np.random.default_rng(0)
DTYPES = ["float64", "float32", "float16", "int64", "int32", "int8", "bool", "complex128", "complex64"]
SHAPES: list[tuple[int, ...]] = [(), (1,), (0,), (5,), (3, 4), (0, 3), (2, 3, 4)]


def array_of(dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    values = rng.standard_normal(shape) * 40
    if dtype.startswith("complex"):
        values = values + 1j * rng.standard_normal(shape)
    return np.asarray(values > 0 if dtype == "bool" else values, dtype)


def refused(path: Path, member: str | None = None) -> tuple[str, str]:
    with pytest.raises(TpcError) as caught:
        read(path, path.name, member)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, diagnostic.title


# ---- what is written is read again


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_binary_round_trip(tmp_path: Path, suffix: str, dtype: str, shape: tuple[int, ...]) -> None:
    array, path = array_of(dtype, shape), tmp_path / f"x{suffix}"
    results.write({path: {"x": array}})
    again = read(path, "x", "x" if suffix != ".npy" else None).array
    assert again.dtype == array.dtype and again.shape == shape
    assert again.tobytes() == array.tobytes()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".mtx"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 4), (4, 1)], ids=str)
def test_text_round_trip(tmp_path: Path, suffix: str, dtype: str, shape: tuple[int, ...]) -> None:
    array, path = array_of(dtype, shape), tmp_path / f"x{suffix}"
    results.write({path: {"x": array}})
    again = shaped(read(path, "x"), len(shape))
    assert again.shape == shape
    np.testing.assert_array_equal(again.astype(dtype), array)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".csv", ".mtx"])
def test_strides_and_byte_order(tmp_path: Path, suffix: str) -> None:
    base = np.arange(24.0).reshape(4, 6)
    path = tmp_path / f"x{suffix}"
    for array in (base.T, base[::2, ::-3], base.astype(">f8"), np.broadcast_to(base[0], (3, 6))):
        results.write({path: {"x": array}})
        np.testing.assert_array_equal(read(path, "x").array, array)


def test_npz_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        results.write({tmp_path / name: {"x": np.arange(3)}})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_complex_in_safetensors_is_two_real_tensors(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    results.write({tmp_path / "x.safetensors": {"x": np.array([1 + 2j])}})
    assert sorted(load_file(tmp_path / "x.safetensors")) == ["x.im", "x.re"]


def test_bf16_is_read_into_float32(tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    bits = np.array([0x3FC0, 0xC000], "<u2").tobytes()  # 1.5 and -2
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bits)
    array = read(tmp_path / "x.safetensors", "x").array
    assert array.dtype == np.float32 and array.tolist() == [1.5, -2]


def test_small_integers_become_i32(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([200], np.uint8))
    assert read(tmp_path / "x.npy", "x").array.dtype == np.int32


def test_sparse_and_symmetric_matrix_market(tmp_path: Path) -> None:
    (tmp_path / "x.mtx").write_text("%%MatrixMarket matrix coordinate real symmetric\n% a\n3 3 2\n1 1 5\n3 1 7\n")
    assert read(tmp_path / "x.mtx", "x").array.tolist() == [[5, 0, 7], [0, 0, 0], [7, 0, 0]]


# ---- tables


@pytest.mark.parametrize(
    ("text", "member", "expected"),
    [
        ("1,2\n3,4\n", None, [[1, 2], [3, 4]]),
        ("a,b\n1,2\n3,4\n", None, [[1, 2], [3, 4]]),
        ("a;b\n1;2\n", "b", [[2]]),
        ("a\tb\tc\n1\t2\tx\n", "b,a", [[2, 1]]),
        ('"x, y",z\n1,2\n', "x, y", [[1]]),
        ("\ufeffa,b\n1,2\n", "a", [[1]]),
        ("# made by hand\n\n1.5, -2e3\n", None, [[1.5, -2000]]),
        ("1,2\r\n3,4\r\n", "2", [[2], [4]]),
        ("true,false\n", None, [[True, False]]),
        ("1+2j,3\n", None, [[1 + 2j, 3]]),
        ("a\n1\nnan\n", None, [[1], [np.nan]]),
        ("7\n8\n", None, [[7], [8]]),
        ("a,b\n", None, np.zeros((0, 2))),
    ],
)
def test_tables(tmp_path: Path, text: str, member: str | None, expected: Any) -> None:
    (tmp_path / "x.csv").write_bytes(text.encode())
    datum = read(tmp_path / "x.csv", "x", member)
    assert datum.weak
    np.testing.assert_array_equal(datum.array, expected)


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("a,b\n1,2\n3,\n", "E0709", "line 3, column `b` of `x.csv` is empty"),
        ("a,b\n1,NA\n", "E0709", "a value is missing"),
        ("a,b\n1,2\n3,x\n", "E0709", "`x` is not a number: line 3, column `b`"),
        ("1,2\n3\n", "E0709", "1 cell in line 2, but 2 cells in line 1"),
        ("1,b\n2,3\n", "E0709", "neither names nor numbers"),
        ("", "E0709", "has no rows"),
        ("a;b\n1,5;2\n", "E0709", "`1,5` is not a number"),
        ("a\n\0\n", "E0708", "not text"),
        ('"' + "9" * 200_000 + "\n", "E0708", "field larger"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, code: str, part: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    found, title = refused(tmp_path / "x.csv")
    assert found == code and part in title


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("price,area\n1,2\n")
    with pytest.raises(TpcError) as caught:
        read(tmp_path / "x.csv", "x.csv", "prize")
    assert caught.value.diagnostics[0].help == "did you mean `x.csv:price`?"


# ---- what is wrong is refused


def npy_with(header: bytes, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E0708"),
        (b"not an array at all", "E0708"),
        (npy_with(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n"), "E0708"),
        (npy_with(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }\n"), "E0708"),
        (npy_with(b"{'descr': '<f8', 'fortran_order': False, 'shape': (10**9, 10**9), }\n"), "E0708"),
        (npy_with(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }\n"), "E0910"),
        (npy_with(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"cos\nsystem\n"), "E0711"),
        (npy_with(b"__import__('os').system('touch owned')\n"), "E0708"),
        (npy_with(b"[" * 60000), "E0708"),
        (npy_with(b"{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }\n", b"\0" * 12), "E0711"),
    ],
)
def test_bad_npy(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    assert refused(tmp_path / "x.npy")[0] == code


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    np.save(tmp_path / "x.npy", np.array([Evil()], object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([Evil()], object))
    assert refused(tmp_path / "x.npy")[0] == "E0711"
    assert refused(tmp_path / "x.npz")[0] == "E0711"
    assert not (tmp_path / "owned").exists()


def test_npz_members(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=[1], b=[2])
    assert read(tmp_path / "x.npz", "x", "b").array.tolist() == [2]
    assert read(tmp_path / "x.npz", "x", None, "a").array.tolist() == [1]
    assert refused(tmp_path / "x.npz")[0] == "E0710"
    assert refused(tmp_path / "x.npz", "c")[0] == "E0710"


def test_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (40_000_000,)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        member.write(header.getvalue())
        for _ in range(320):
            member.write(bytes(1_000_000))
    assert refused(path)[0] == "E0910"


@pytest.mark.parametrize(
    "change",
    [lambda b: b[: len(b) // 2], lambda b: b[:60] + bytes(20) + b[80:], lambda b: b"PK\3\4" + bytes(50), lambda b: b""],
)
def test_bad_npz(tmp_path: Path, change: Any) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=rng.standard_normal(50))
    (tmp_path / "x.npz").write_bytes(change((tmp_path / "x.npz").read_bytes()))
    assert refused(tmp_path / "x.npz")[0] == "E0708"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "E0708"),
        ("1 2 3\n", "E0708"),
        ("%%MatrixMarket matrix coordinate real general\n1000000000 1000000000 3\n1 1 1\n", "E0910"),
        ("%%MatrixMarket matrix coordinate real general\n10 10 1000000000000\n1 1 1\n", "E0708"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 1.0\n", "E0708"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 1\nx y z\n", "E0708"),
        ("%%MatrixMarket matrix array real general\n-1 2\n", "E0708"),
        ("%%MatrixMarket matrix array real general\n2 2\n1\n2\n", "E0708"),
        ("%%MatrixMarket vector array real general\n2\n1\n2\n", "E0708"),
    ],
)
def test_bad_matrix_market(tmp_path: Path, text: str, code: str) -> None:
    (tmp_path / "x.mtx").write_text(text)
    assert refused(tmp_path / "x.mtx")[0] == code


def tensors_with(header: Any, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def entry(shape: Any = (1,), offsets: Any = (0, 8), dtype: str = "F64") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E0708"),
        (tensors_with({}, length=2**62), "E0708"),
        (tensors_with(b"{" * 50), "E0708"),
        (tensors_with(b"[" * 100_000), "E0708"),
        (tensors_with([1]), "E0708"),
        (tensors_with({"x": entry()}), "E0708"),
        (tensors_with({"x": entry((2,))}, bytes(8)), "E0708"),
        (tensors_with({"x": entry((-1,), (0, 8))}, bytes(8)), "E0708"),
        (tensors_with({"x": entry(offsets=(8, 0))}, bytes(8)), "E0708"),
        (tensors_with({"x": entry(), "y": entry(offsets=(4, 12))}, bytes(12)), "E0708"),
        (tensors_with({"x": entry(dtype="F8_E4M3")}, bytes(8)), "E0711"),
        (tensors_with({"x": 3}, bytes(8)), "E0708"),
    ],
)
def test_bad_safetensors(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    assert refused(tmp_path / "x.safetensors", "x")[0] == code


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".mtx", ".csv"])
def test_the_limit_is_asked_before_reading(tmp_path: Path, suffix: str) -> None:
    results.write({tmp_path / f"x{suffix}": {"x": np.ones((100, 100))}})
    with memory.limited(10_000):
        assert refused(tmp_path / f"x{suffix}")[0] == "E0910"


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".mtx", ".csv"])
def test_truncated_and_changed_files_never_crash(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    results.write({path: {"x": np.arange(12.0).reshape(3, 4)}})
    good = path.read_bytes()
    for trial in range(150):
        content = bytearray(good)
        if trial % 2:
            content = content[: rng.integers(len(content))]
        else:
            content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            read(path, "x")
        except TpcError as error:
            assert error.diagnostics[0].code in ("E0708", "E0709", "E0710", "E0711", "E0910")


def test_not_regular_files(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "zero.npy").symlink_to("/dev/zero")
    for name in ("folder.npy", "pipe.npy", "zero.npy", "missing.npy"):
        assert refused(tmp_path / name)[0] == "E0705"
    assert refused(tmp_path / "x.xlsx")[0] == "E0707"
    assert refused(tmp_path / "x")[0] == "E0707"


# ---- writing, whole or not at all


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    results.write({path: {"x": np.arange(3)}})
    before = path.read_bytes()
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, lambda *args: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(TpcError) as caught:
                results.write({path: {"x": np.arange(5)}})
            assert caught.value.diagnostics[0].code == "E0712"
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["x.npz"]


def test_an_interrupt_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), results.replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["x.txt"]


def test_of_several_files_none_is_replaced_if_one_fails(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"old")
    with pytest.raises(TpcError):
        results.write({tmp_path / "a.npy": {"x": np.arange(3)}, tmp_path / "b.mtx": {"x": np.ones((2, 2, 2))}})
    assert (tmp_path / "a.npy").read_bytes() == b"old" and os.listdir(tmp_path) == ["a.npy"]


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    target = tmp_path / "real.npy"
    target.write_bytes(b"")
    target.chmod(0o640)
    (tmp_path / "link.npy").symlink_to(target)
    results.write({tmp_path / "link.npy": {"x": np.arange(3)}})
    assert (tmp_path / "link.npy").is_symlink() and target.stat().st_mode & 0o777 == 0o640
    assert np.load(target).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x.npy", {"a": np.ones(2), "b": np.ones(2)}),
        ("x.csv", {"a": np.ones(2), "b": np.ones(3)}),
        ("x.csv", {"a": np.ones((2, 2, 2))}),
        ("x.mtx", {"a": np.ones(2), "b": np.ones(2)}),
        ("missing/x.npy", {"a": np.ones(2)}),
        (".", {"a": np.ones(2)}),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, values: Any) -> None:
    with pytest.raises(TpcError) as caught:
        results.write({tmp_path / name: values})
    assert caught.value.diagnostics[0].code in ("E0712", "E0707")
    assert not os.listdir(tmp_path)
