"""The multilinear part of a program as one object: a product of operands over index letters, summed."""

from tpc.passes.contraction.form import Axes, Contraction, Wiring, arranged, compose, diagonal, filled, tidy
from tpc.passes.contraction.read import Product, product_of, summands_of

__all__ = [
    "Axes",
    "Contraction",
    "Product",
    "Wiring",
    "arranged",
    "compose",
    "diagonal",
    "filled",
    "product_of",
    "summands_of",
    "tidy",
]
