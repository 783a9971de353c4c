"""Products with sparse matrices as native code, for modules of NumPy and SciPy that run in this process.

A module calls `_spmm` and `_sddmm`, which it has in SciPy and NumPy. Once these have taken a while, the functions here
take their place, which do the same with matrices by rows: a row of a product stays in registers, 32 columns at a time
(64 in f32), while the entries of a row of the sparse matrix are walked over; an entry of a sampled product is a row
times a row. What they do not take goes to the functions of the module.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.ir.dims import named
from tpc.ir.types import F32, F64, I32, DType

if TYPE_CHECKING:
    from tpc.backends.llvm.signature import Native
    from tpc.backends.running import Running

LANES = {F64: 8, F32: 16}
SPELLED = {F64: "double", F32: "float"}
CHAINS = 4  # sums of a row that are made at a time
LEAST = 0.05  # seconds of calls after which native code is made
OPERANDS = 5


class Text:
    """A function while it is written: lines, and names of values."""

    def __init__(self, dtype: DType) -> None:
        self.lines: list[str] = []
        self.starts: list[str] = []  # of variables, which stand first
        self.count = 0
        self.scalar, self.lanes = SPELLED[dtype], LANES[dtype]
        self.vector = f"<{self.lanes} x {self.scalar}>"

    def fresh(self) -> str:
        self.count += 1
        return f"%t{self.count}"

    def let(self, text: str) -> str:
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def variable(self, type: str) -> str:
        name = self.fresh()
        self.starts.append(f"  {name} = alloca {type}")
        return name

    def load(self, type: str, base: str, place: str, entry: str | None = None) -> str:
        """A value of a type from an array of entries, at a position."""
        at = self.let(f"getelementptr {entry or type}, ptr {base}, i64 {place}")
        return self.let(f"load {type}, ptr {at}, align {4 if (entry or type) in ('float', 'i32') else 8}")

    def store(self, type: str, value: str, base: str, place: str) -> None:
        at = self.let(f"getelementptr {self.scalar}, ptr {base}, i64 {place}")
        self.do(f"store {type} {value}, ptr {at}, align {4 if self.scalar == 'float' else 8}")

    def position(self, base: str, place: str) -> str:
        return self.let(f"sext i32 {self.load('i32', base, place)} to i64")

    @contextmanager
    def loop(self, first: str, last: str, step: int = 1) -> Iterator[str]:
        """Lines that are run while a counter, of which the name is given, is below the end."""
        counter, number = self.variable("i64"), self.count
        self.do(f"store i64 {first}, ptr {counter}")
        self.do(f"br label %head{number}")
        self.lines.append(f"head{number}:")
        now = self.let(f"load i64, ptr {counter}")
        self.do(f"br i1 {self.let(f'icmp slt i64 {now}, {last}')}, label %body{number}, label %end{number}")
        self.lines.append(f"body{number}:")
        yield now
        self.do(f"store i64 {self.let(f'add i64 {now}, {step}')}, ptr {counter}")
        self.do(f"br label %head{number}")
        self.lines.append(f"end{number}:")

    def whole(self, count: str, block: int) -> str:
        """The part of a number that is made of whole blocks."""
        return self.let(f"sub i64 {count}, {self.let(f'srem i64 {count}, {block}')}")

    def type(self, width: int) -> str:
        return self.scalar if width == 1 else f"<{width} x {self.scalar}>"

    def zero(self, width: int) -> str:
        return "0.0" if width == 1 else "zeroinitializer"

    def spread(self, value: str, width: int) -> str:
        """A number in all lanes."""
        type = self.type(width)
        first = self.let(f"insertelement {type} poison, {self.scalar} {value}, i32 0")
        return self.let(f"shufflevector {type} {first}, {type} poison, <{width} x i32> zeroinitializer")

    def add_product(self, type: str, target: str, a: str, b: str) -> None:
        """target += a * b"""
        product = self.let(f"fmul contract {type} {a}, {b}")
        sum = self.let(f"fadd contract {type} {self.let(f'load {type}, ptr {target}')}, {product}")
        self.do(f"store {type} {sum}, ptr {target}")

    def function(self, name: str, parameters: str) -> str:
        return "\n".join(
            [f"define i64 @{name}({parameters}) {{", "start:", *self.starts, *self.lines, "  ret i64 0", "}", ""]
        )


def spmm_text(name: str, dtype: DType) -> str:
    """Y = A @ X for A by rows, X with its rows in memory one after the other."""
    t = Text(dtype)
    with t.loop("0", "%rows") as row:
        first, last = t.position("%starts", row), t.position("%starts", t.let(f"add i64 {row}, 1"))
        begin = t.let(f"mul i64 {row}, %columns")

        def entry_times_row(entry: str, column: str, sums: list[str], width: int) -> None:
            value = t.load(t.scalar, "%entries", entry)
            value = t.spread(value, width) if width > 1 else value
            start = t.let(f"mul i64 {t.position('%places', entry)}, %columns")
            start = t.let(f"add i64 {start}, {column}")
            for number, total in enumerate(sums):
                place = t.let(f"add i64 {start}, {number * width}")
                t.add_product(t.type(width), total, value, t.load(t.type(width), "%X", place, t.scalar))

        def part(count: int, width: int, column: str) -> None:
            """Some columns of a row; sums of few columns are made of several, which do not wait for each other."""
            type, chains = t.type(width), max(1, CHAINS // count)
            sums = [[t.variable(type) for _ in range(count)] for _ in range(chains)]
            for total in (total for chain in sums for total in chain):
                t.do(f"store {type} {t.zero(width)}, ptr {total}")
            middle = t.let(f"add i64 {first}, {t.whole(t.let(f'sub i64 {last}, {first}'), chains)}")
            with t.loop(first, middle, chains) as entry:
                for number, chain in enumerate(sums):
                    entry_times_row(t.let(f"add i64 {entry}, {number}"), column, chain, width)
            with t.loop(middle, last) as entry:
                entry_times_row(entry, column, sums[0], width)
            start = t.let(f"add i64 {begin}, {column}")
            for number in range(count):
                found = t.let(f"load {type}, ptr {sums[0][number]}")
                for chain in sums[1:]:
                    found = t.let(f"fadd {type} {found}, {t.let(f'load {type}, ptr {chain[number]}')}")
                t.store(type, found, "%Y", t.let(f"add i64 {start}, {number * width}"))

        done = "0"
        for count, width in ((4, t.lanes), (2, t.lanes), (1, t.lanes), (1, t.lanes // 2), (1, 2), (1, 1)):
            end = t.whole("%columns", count * width)
            with t.loop(done, end, count * width) as column:
                part(count, width, column)
            done = end
    return t.function(name, "i64 %rows, i64 %columns, ptr %entries, ptr %places, ptr %starts, ptr %X, ptr %Y")


def sddmm_text(name: str, dtype: DType) -> str:
    """Z = A * (B @ C') at the entries of A by rows; the rows of B and C follow each other in memory."""
    t = Text(dtype)
    with t.loop("0", "%rows") as row:
        first, last = t.position("%starts", row), t.position("%starts", t.let(f"add i64 {row}, 1"))
        left = t.let(f"mul i64 {row}, %inner")
        whole = t.whole("%inner", t.lanes)
        with t.loop(first, last) as entry:
            right = t.let(f"mul i64 {t.position('%places', entry)}, %inner")
            sums, total = t.variable(t.vector), t.variable(t.scalar)
            t.do(f"store {t.vector} zeroinitializer, ptr {sums}")
            for type, target, ends, step in (
                (t.vector, sums, ("0", whole), t.lanes),
                (t.scalar, total, (whole, "%inner"), 1),
            ):
                if target is total:
                    lanes = t.let(f"load {t.vector}, ptr {sums}")
                    reduce = f"@llvm.vector.reduce.fadd.v{t.lanes}f{64 if t.scalar == 'double' else 32}"
                    found = t.let(f"call reassoc {t.scalar} {reduce}({t.scalar} 0.0, {t.vector} {lanes})")
                    t.do(f"store {t.scalar} {found}, ptr {total}")
                with t.loop(*ends, step) as k:
                    a = t.load(type, "%B", t.let(f"add i64 {left}, {k}"), t.scalar)
                    b = t.load(type, "%C", t.let(f"add i64 {right}, {k}"), t.scalar)
                    t.add_product(type, target, a, b)
            found = t.let(f"load {t.scalar}, ptr {total}")
            value = t.load(t.scalar, "%entries", entry)
            t.store(t.scalar, t.let(f"fmul {t.scalar} {value}, {found}"), "%Z", entry)
    declared = f"declare {t.scalar} {reduce}({t.scalar}, {t.vector})\n"
    parameters = "i64 %rows, i64 %inner, ptr %entries, ptr %places, ptr %starts, ptr %B, ptr %C, ptr %Z"
    return t.function(name, parameters) + declared


@cache
def _native(kind: str, dtype: DType) -> tuple[Any, Callable[..., int]]:
    """A native function, and what keeps its code."""
    from tpc.backends.llvm.engine import load
    from tpc.backends.llvm.signature import Array, Native, Signature

    name = f"tpc_{kind}_{dtype.name}"
    text = (spmm_text if kind == "spmm" else sddmm_text)(name, dtype)
    pointers = OPERANDS if kind == "spmm" else OPERANDS + 1
    rows, inner = named("rows"), named("inner")
    arrays = tuple(Array(f"x{k}", dtype if k != 1 else I32, (rows, inner)) for k in range(pointers))
    native: Native = Native(Signature(name, ("rows", "inner"), arrays[:-1], arrays[-1:]), text)
    loaded = load(native)
    type = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 2, *[ctypes.c_void_p] * pointers)
    return loaded, type(loaded.address(name))


def _dtype(A: Any, *others: Any) -> DType | None:
    """The format in which native code takes operands: all in one, and places of 32 bits."""
    found = {"float64": F64, "float32": F32}.get(A.dtype.name)
    if found is None or A.format != "csr" or A.indices.dtype.name != "int32" or A.indptr.dtype.name != "int32":
        return None
    return found if all(other.dtype == A.dtype for other in others) else None


def spmm(A: Any, X: Any) -> Any:
    """A @ X, or None where that is for SciPy, as it is for a vector: its loop over the entries is as good."""
    dtype = _dtype(A, X)
    if dtype is None or X.ndim == 1:
        return None
    X = np.ascontiguousarray(X)
    Y = np.empty((A.shape[0], X.shape[1]), X.dtype)
    _, run = _native("spmm", dtype)
    run(*Y.shape, *(x.ctypes.data for x in (A.data, A.indices, A.indptr, X, Y)))
    return Y


def sddmm(A: Any, B: Any, C: Any) -> Any:
    """The entries of A * (B @ C) where A has some, or None where that is for NumPy."""
    dtype = _dtype(A, B, C)
    if dtype is None:
        return None
    B, turned, Z = np.ascontiguousarray(B), np.ascontiguousarray(C.T), np.empty_like(A.data)
    _, run = _native("sddmm", dtype)
    run(A.shape[0], B.shape[1], *(x.ctypes.data for x in (A.data, A.indices, A.indptr, B, turned, Z)))
    return type(A)((Z, A.indices, A.indptr), shape=A.shape)


class Replacing:
    """A helper of a module, until native code takes its place.

    Attributes
    ----------
    seconds
        That it has taken so far.
    """

    def __init__(self, plain: Callable[..., Any], native: Callable[..., Any]) -> None:
        self.plain, self.native = plain, native
        self.seconds = 0.0

    def __call__(self, A: Any, *others: Any) -> Any:
        if self.seconds > LEAST and hasattr(A, "indptr"):
            found = self.native(A, *others)
            return self.plain(A, *others) if found is None else found
        start = perf_counter()
        found = self.plain(A, *others)
        self.seconds += perf_counter() - start
        return found


NATIVE: dict[str, Callable[..., Any]] = {"_spmm": spmm, "_sddmm": sddmm}


def replace(running: Running) -> None:
    """Let a module use native code for sparse products, once it has computed some for a while."""
    for name, native in NATIVE.items():
        if name in running.namespace:
            running.namespace[name] = Replacing(running.namespace[name], native)
