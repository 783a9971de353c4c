"""Every op of the language, by name."""

from __future__ import annotations

from tpc.ir.op import Op
from tpc.ir.ops.convolution import CONVOLUTION
from tpc.ir.ops.creation import CREATION
from tpc.ir.ops.elementwise import ELEMENTWISE
from tpc.ir.ops.factorization import FACTORIZATIONS
from tpc.ir.ops.fourier import FOURIER
from tpc.ir.ops.gathering import GATHERING
from tpc.ir.ops.kernels import KERNELS
from tpc.ir.ops.layers import LAYERS
from tpc.ir.ops.linalg import LINALG
from tpc.ir.ops.matrix_functions import MATRIX_FUNCTIONS
from tpc.ir.ops.ordering import ORDERING
from tpc.ir.ops.products import PRODUCTS
from tpc.ir.ops.promises import PROMISES
from tpc.ir.ops.quantized import QUANTIZED
from tpc.ir.ops.random import RANDOM
from tpc.ir.ops.recurrences import RECURRENCES
from tpc.ir.ops.reductions import REDUCTIONS
from tpc.ir.ops.shapes import SHAPES
from tpc.ir.ops.sparse import SPARSE
from tpc.ir.ops.sparsifiers import SPARSIFIERS
from tpc.ir.ops.structure import STRUCTURE
from tpc.ir.ops.structured import STRUCTURED
from tpc.ir.ops.structured_kernels import STRUCTURED_KERNELS

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        *STRUCTURE,
        *ELEMENTWISE,
        *PRODUCTS,
        *CONVOLUTION,
        *REDUCTIONS,
        *RECURRENCES,
        *CREATION,
        *SHAPES,
        *GATHERING,
        *LINALG,
        *FACTORIZATIONS,
        *KERNELS,
        *STRUCTURED,
        *STRUCTURED_KERNELS,
        *SPARSE,
        *MATRIX_FUNCTIONS,
        *FOURIER,
        *LAYERS,
        *ORDERING,
        *SPARSIFIERS,
        *RANDOM,
        *QUANTIZED,
        *PROMISES,
    )
}
