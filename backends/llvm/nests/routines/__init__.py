"""The code of routines: for each matrix or row of a batch, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from tpc.backends.llvm import routines
from tpc.backends.llvm.fusion.loop import Routine
from tpc.backends.llvm.nests.errors import Errors
from tpc.backends.llvm.nests.routines import bands, inverses, ordering, orthogonal, scatter, triangles
from tpc.backends.llvm.nests.routines.site import Site
from tpc.backends.llvm.nests.types import BYTE
from tpc.backends.llvm.nests.writer import Writer
from tpc.ir.dims import product
from tpc.ir.types import TensorType

WRITERS: dict[str, Callable[[Site], None]] = {
    "cholesky": triangles.cholesky,
    "cho_solve": triangles.cho_solve,
    "cho_inv": triangles.cho_inv,
    "solve_triangular": triangles.solve_triangular,
    "tri_inv": triangles.tri_inv,
    "lu_factor": inverses.lu_factor,
    "lu_solve": inverses.lu_solve,
    "lu_det": inverses.lu_det,
    "lu_logdet": inverses.lu_logdet,
    "det": inverses.det,
    "logdet": inverses.logdet,
    "slogdet": inverses.slogdet,
    "solve": inverses.solve,
    "inv": inverses.inv,
    "qr": orthogonal.qr,
    "qr_triangle": orthogonal.qr_triangle,
    "eigh": orthogonal.eigh,
    "eigvalsh": orthogonal.eigvalsh,
    "svd": orthogonal.svd,
    "svdvals": orthogonal.svdvals,
    "cond": orthogonal.cond,
    "matrix_rank": orthogonal.matrix_rank,
    "pinv": orthogonal.pinv,
    "lstsq": orthogonal.lstsq,
    "band_solve": bands.band_solve,
    "spd_band_solve": bands.spd_band_solve,
    "sort": ordering.sort,
    "argsort": ordering.argsort,
    "topk": ordering.topk,
    "scatter_add": scatter.write,
    "segment_sum": scatter.write,
}


def write(
    writer: Writer,
    pointers: dict[Any, ir.Value],
    errors: Errors,
    status: ir.Value,
    step: Routine,
    within: tuple[ir.Value, ir.Value] | None = None,
) -> None:
    """Write a routine where the writer is: for all of a batch, or for those within a range."""
    node = step.node
    operands, results = routines.cores(node)
    given, is_turned = routines.operands(node)
    types = [*(a.tensor for a in given), *routines.types_of(node)]
    places = [pointers[buffer] for buffer in (*step.operands, *step.given)]
    begin, end = within or (writer.integer(0), writer.dim(product(routines.batch(node))))
    with writer.loop("each", begin, end) as number:
        at = [
            _at(writer, place, type, core, number)
            for place, type, core in zip(places, types, (*operands, *results), strict=True)
        ]
        count = len(given)
        site = Site(writer, errors, status, node, at[:count], at[count:], pointers.get(step), is_turned)
        WRITERS[node.op.name](site)


def _at(writer: Writer, pointer: ir.Value, type: TensorType, core: int, number: ir.Value) -> ir.Value:
    """Where the matrix or row of a number begins; an operand without a batch is the same for all of them."""
    outer = type.rank - core
    if not outer:
        return pointer
    bytes = writer.dim(product(type.dims[outer:]) * type.dtype.size)
    return writer.builder.gep(pointer, [writer.builder.mul(number, bytes)], source_etype=BYTE)
