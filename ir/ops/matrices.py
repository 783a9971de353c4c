"""How the meanings of linear algebra are given: LAPACK on each matrix of a batch, or elimination over a field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tpc.ir.op import Attributes, Op
from tpc.ir.ops.indexing import each_matrix

Reference = Callable[[Any, list[Any], Attributes], Any]


def over_field(name: str, *cores: int) -> Callable[[list[Any], Attributes], Any]:
    """A function of `elimination`, over batch axes."""

    def exact(operands: list[Any], attributes: Attributes) -> Any:
        import numpy

        from tpc.ir.ops import elimination

        return each_matrix(numpy, getattr(elimination, name), operands, cores)

    return exact


def numpy_linalg(name: str, **options: Any) -> Reference:
    """A function of numpy.linalg, which takes batch axes itself."""

    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        result = getattr(np.linalg, name)(*operands, **options)
        return tuple(result) if isinstance(result, tuple) else result

    return reference


def each(function: Callable[[Any, Any], Any]) -> Reference:
    """A function of one matrix."""
    return lambda np, operands, attributes: each_matrix(np, lambda A: function(np, A), operands[:1], (2,))


def linalg_op(name: str, line: str, about: str, **more: Any) -> Op:
    """An op of linear algebra, which turns integers into f64."""
    return Op(name=name, line=line, about=about, group="linalg", **{"dtype": "float", **more})
