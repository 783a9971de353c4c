"""Random arrays that are a function of their shape and seed: every backend gets the same bits."""

from __future__ import annotations

from typing import Any

from tpc.ir.dims import DimLike, is_nonnegative
from tpc.ir.op import Attributes, Misfit, Op
from tpc.ir.ops.indexing import option_misfit
from tpc.ir.types import REAL, TensorType


def draw(np: Any, kind: str, shape: tuple[int, ...], seed: int, nonzeros: int = 0) -> Any:
    """Random numbers in double precision.

    Parameters
    ----------
    kind : str
        `normal` (mean 0, variance 1), `uniform` (in [0, 1)), `rademacher` (-1 or 1), or `sparse_sketch`: in each
        column `nonzeros` entries of size 1/sqrt(nonzeros) with random signs, one in each of that many blocks of rows
        (the block construction of Kane and Nelson, 2014), else 0.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    if kind == "normal":
        return generator.standard_normal(shape)
    if kind == "uniform":
        return generator.random(shape)
    if kind == "rademacher":
        return 2.0 * generator.integers(0, 2, shape) - 1.0
    assert kind == "sparse_sketch", kind
    rows, columns = shape
    result = np.zeros(shape)
    starts = [rows * block // nonzeros for block in range(nonzeros + 1)]
    for low, high in zip(starts, starts[1:]):
        place = generator.integers(low, high, columns)
        sign = 2.0 * generator.integers(0, 2, columns) - 1.0
        result[place, np.arange(columns)] = sign / np.sqrt(nonzeros)
    return result


def drawn(kind: str) -> Any:
    """The meaning of an op that draws such numbers."""

    def reference(np: Any, operands: list[Any], attributes: Attributes) -> Any:
        shape = attributes["dims"] if "dims" in attributes else (attributes["m"], attributes["n"])
        return draw(np, kind, tuple(shape), attributes["seed"], attributes.get("s", 0))

    return reference


def _types(name: str, dims: Any, attributes: Attributes) -> list[TensorType]:
    for dim in dims:
        if isinstance(dim, int) and dim < 0:
            raise Misfit("E0208", f"`{name}` is given a negative size, {dim}")
    seed = attributes["seed"]
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise option_misfit(name, "seed", seed, "an integer, 0 or more")
    dtype = attributes["dtype"] or REAL
    if dtype.kind != "f":
        raise option_misfit(name, "dtype", dtype, "a real format")
    return [TensorType(dtype, dims)]


def sketch_types(operands: list[TensorType], attributes: Attributes) -> list[TensorType]:
    """The type of a sketch, as far as its options are such."""
    nonzeros, rows = attributes["s"], attributes["m"]
    if not isinstance(nonzeros, int) or nonzeros < 1:
        raise option_misfit("sparse_sketch", "s", nonzeros, "a positive integer")
    short: DimLike = nonzeros - 1 - rows
    if is_nonnegative(short):
        raise option_misfit("sparse_sketch", "s", nonzeros, f"at most the number of rows, {rows}")
    return _types("sparse_sketch", (rows, attributes["n"]), attributes)


def _op(name: str, about: str, facts: str = "") -> Op:
    return Op(
        name=name,
        line=f"{name}(dims)",
        about=about,
        group="random",
        variadic="dims",
        options={"seed": 0, "dtype": None},
        typing=lambda operands, attributes: _types(name, attributes["dims"], attributes),
        reference=drawn(name),
        facts=facts,
    )


RANDOM: list[Op] = [
    _op("normal", "independent normal numbers of mean 0 and variance 1"),
    _op("uniform", "independent numbers, evenly distributed over [0, 1)", "|- nonnegative(this); |- at_most(this, 1)"),
    _op("rademacher", "independent signs, -1 or 1", "|- nonzero(this); |- at_least(this, -1); |- at_most(this, 1)"),
    Op(
        name="sparse_sketch",
        line="sparse_sketch(m, n)[m, n]",
        about="a random matrix that keeps lengths on average: s entries of size 1/sqrt(s) in every column, else 0; "
        "products take these entries alone, as those of a sparse matrix",
        group="random",
        options={"s": 4, "seed": 0, "dtype": None},
        typing=sketch_types,
        reference=drawn("sparse_sketch"),
    ),
]
