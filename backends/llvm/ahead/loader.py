"""A module of Python that calls a shared library: it needs numpy and the library, and nothing of tpc."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.backends.llvm import sizes
from tpc.backends.llvm.signature import Array, Signature
from tpc.backends.names import Names, words
from tpc.dsl.diagnostics import fail
from tpc.ir.dims import DimLike, dim_text
from tpc.ir.types import STRONG, DType

TAKEN = words("ctypes pathlib np LIBRARY workspace status array shape size div")


def loader(signatures: Sequence[Signature], library: str) -> str:
    """The module for functions of a shared library, which lies beside it under this name; the module's own name
    must be another (`f.py` beside `libf.so`).

    Raises
    ------
    TpcError
        E1001 for a function with a dtype that NumPy does not have.
    """
    names = ", ".join(signature.name for signature in signatures)
    functions = "\n\n\n".join(_function(signature) for signature in signatures)
    return _HEAD.format(names=names, library=library) + functions + "\n"


_HEAD = '''"""{names}: compiled by tpc. It needs numpy, and {library} beside it."""

import ctypes
import pathlib

import numpy as np

LIBRARY = ctypes.CDLL(str(pathlib.Path(__file__).resolve().with_name({library!r})))


def array(name, value, dtype, rank):
    given = np.asarray(value)
    if not np.can_cast(given.dtype, dtype, "same_kind"):
        raise TypeError(f"{{name}} is {{given.dtype}}, not {{np.dtype(dtype)}}")
    if given.ndim != rank:
        raise ValueError(f"{{name}} has {{given.ndim}} axes, not {{rank}}")
    return np.require(given, dtype, ["C", "A"])


def shape(name, value, expected):
    if value.shape != expected:
        raise ValueError(f"{{name}} is {{value.shape}}, not {{expected}}")


def div(a, b):
    return a // b


'''


def _function(signature: Signature) -> str:
    names = Names(TAKEN)
    operands = [names.fresh(array.name) for array in signature.operands]
    results = [names.fresh(array.name) for array in signature.results]
    spelled = {name: names.fresh(name) for name in signature.sizes}

    def text(dim: DimLike) -> str:
        return dim_text(dim, spelled.__getitem__).replace("^", "**")

    def tuple_text(dims: Sequence[DimLike]) -> str:
        return f"({', '.join(map(text, dims))}{',' if len(dims) == 1 else ''})"

    axes = [(name, axis, dim) for name, a in zip(operands, signature.operands) for axis, dim in enumerate(a.dims)]
    told = sizes.told([dim for _, _, dim in axes])
    keywords = [spelled[name] for name in signature.sizes if name not in told]
    head = ", ".join([*operands, *(["*"] if keywords else []), *keywords])
    lines = [f"def {signature.name}({head}):", f'    """{_summary(signature)}"""']
    for name, a in zip(operands, signature.operands):
        lines.append(f"    {name} = array({name!r}, {name}, {_dtype(a.dtype)}, {len(a.dims)})")
    for size, (position, slope, offset) in told.items():
        name, axis, _ = axes[position]
        value = f"{name}.shape[{axis}]"
        value = f"({value} - {offset}) // {slope}" if (slope, offset) != (1, 0) else value
        lines.append(f"    {spelled[size]} = {value}")
    for name, a in zip(operands, signature.operands):
        if a.dims:
            lines.append(f"    shape({name!r}, {name}, {tuple_text(a.dims)})")
    for name, a in zip(results, signature.results):
        lines.append(f"    {name} = np.empty({tuple_text(a.dims)}, {_dtype(a.dtype)})")
    numbers = "".join(f"ctypes.c_int64({spelled[name]}), " for name in signature.sizes)
    pointers = "".join(f"ctypes.c_void_p({name}.ctypes.data), " for name in (*operands, *results))
    if signature.workspace == 0:
        place = "None"
    else:
        lines += [
            f"    size = {text(signature.workspace)}",
            "    workspace = np.empty(size + 64, np.uint8)",
        ]
        place = "ctypes.c_void_p(workspace.ctypes.data + -workspace.ctypes.data % 64)"
    lines += [
        f"    LIBRARY.{signature.name}.restype = ctypes.c_int64",
        f"    status = LIBRARY.{signature.name}({numbers}{pointers}{place})",
    ]
    for number, failure in enumerate(signature.errors, 1):
        kind = "np.linalg.LinAlgError" if failure.kind == "LinAlgError" else failure.kind
        lines += [f"    if status == {number}:", f"        raise {kind}({failure.text!r})"]
    values = [f"{name}[()]" if not a.dims else name for name, a in zip(results, signature.results)]
    lines.append(f"    return {values[0] if len(values) == 1 else '(' + ', '.join(values) + ')'}")
    return "\n".join(lines)


def _dtype(dtype: DType) -> str:
    held = STRONG.get(dtype, dtype)
    if held.name == "bf16":
        raise fail("E1001", "a module of Python for functions of bf16 is not built yet", help="call it from C")
    return "np.bool_" if held.name == "bool" else f"np.{held.numpy}"


def _summary(signature: Signature) -> str:
    def one(array: Array) -> str:
        dims = f"[{', '.join(map(dim_text, array.dims))}]" if array.dims else ""
        return f"{array.dtype.name}{dims}"

    operands = ", ".join(f"{a.name}: {one(a)}" for a in signature.operands)
    results = ", ".join(map(one, signature.results))
    return f"{signature.name}({operands}) -> {results}"
