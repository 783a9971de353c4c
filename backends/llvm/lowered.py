"""Native functions that were written before: LLVM IR and its signature, found by the text of a region.

What is kept is plain data. A file holds a digest of its content; what is damaged or of another origin is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from tpc.backends import store
from tpc.backends.contract import Region
from tpc.backends.fields import dim_json, read_dim, read_list, read_text
from tpc.backends.llvm import objects
from tpc.backends.llvm.host import host
from tpc.backends.llvm.signature import Array, Failure, Native, Signature
from tpc.ir.build import input_node, make
from tpc.ir.node import Program
from tpc.ir.ops.structure import INPUT
from tpc.ir.rewrite import replace
from tpc.ir.types import BF16, DTYPES, F32, TensorType

KINDS = ("IndexError", "LinAlgError", "ValueError")


def lowered(region: Region, name: str) -> Native:
    """The native function of a region.

    Raises
    ------
    InternalError
        If a part of it has no native code.
    """
    at = host()

    def written() -> Native:
        from tpc.backends.llvm.lower import lower

        return lower(as_numpy_holds(region.program), name, fast=region.fast)

    return kept([name, at.vector_bits, at.caches, at.cores, region.fast, region.text], written)


def as_numpy_holds(program: Program) -> Program:
    """The program with operands and results of bf16 in f32, which are rounded: NumPy has no such arrays."""
    meant = {n: input_node(n["name"], TensorType(F32, n.tensor.dims)) for n in program.inputs if n.tensor.dtype is BF16}
    if not meant and BF16 not in {type.dtype for type in program.result_types}:
        return program
    outputs = replace(program.outputs, {n: make("cast", (held,), dtype=BF16) for n, held in meant.items()})
    outputs = [make("cast", (n,), dtype=F32) if n.tensor.dtype is BF16 else n for n in outputs]
    facts = [(meant.get(n, n), known) for n, known in program.facts if n.op is INPUT]
    return Program(program.name, [meant.get(n, n) for n in program.inputs], outputs, program.output_names, facts=facts)


def kept(known: Sequence[Any], make: Callable[[], Native]) -> Native:
    """The native function that depends on what is known, and on this tpc; made if it was not made before."""
    key = objects.digest("\0".join(map(str, [store.version(), *known])))
    file = f"{key}{store.PROGRAM}"
    try:
        return _read(store.read(file), key)
    except (OSError, ValueError, RecursionError):
        native = make()
        store.write(file, _text(native, key).encode())
        return native


def _text(native: Native, key: str) -> str:
    signature = native.signature
    body = [
        signature.name,
        list(signature.sizes),
        [_array(a) for a in signature.operands],
        [_array(a) for a in signature.results],
        dim_json(signature.workspace),
        [[failure.kind, failure.text] for failure in signature.errors],
        native.ir,
        list(native.symbols),
        native.long,
    ]
    written = json.dumps(body)
    return f"{_seal(written, key)}\n{written}"


def _read(content: bytes, key: str) -> Native:
    """The function in a file. Raises ValueError where it is damaged, or is not of this key."""
    seal, _, written = content.decode().partition("\n")
    if seal != _seal(written, key):
        raise ValueError("damaged")
    name, sizes, operands, results, workspace, errors, ir, symbols, long = read_list(json.loads(written), 9)
    signature = Signature(
        read_text(name),
        _texts(sizes),
        tuple(map(_read_array, read_list(operands))),
        tuple(map(_read_array, read_list(results))),
        read_dim(workspace),
        tuple(map(_read_failure, read_list(errors))),
    )
    if not isinstance(long, int):
        raise ValueError("long")
    return Native(signature, read_text(ir), _texts(symbols), long=long)


def _array(array: Array) -> list[Any]:
    return [array.name, array.dtype.name, [dim_json(dim) for dim in array.dims]]


def _read_array(data: Any) -> Array:
    name, dtype, dims = read_list(data, 3)
    if dtype not in DTYPES:
        raise ValueError("dtype")
    return Array(read_text(name), DTYPES[dtype], tuple(map(read_dim, read_list(dims))))


def _read_failure(data: Any) -> Failure:
    kind, text = map(read_text, read_list(data, 2))
    if kind not in KINDS:
        raise ValueError("kind")
    return Failure(kind, text)


def _texts(data: Any) -> tuple[str, ...]:
    return tuple(map(read_text, read_list(data)))


def _seal(written: str, key: str) -> str:
    return hashlib.sha256((key + written).encode()).hexdigest()
