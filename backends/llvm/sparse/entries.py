"""Kernels as functions of Python that take matrices of scipy.sparse as they are: their arrays are found in the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tpc.backends.llvm.entry.stored import Stored
from tpc.backends.llvm.sparse.kernels import COLUMNS, ENDS, INNER, ROWS, native
from tpc.backends.llvm.sparse.triangles import triangle
from tpc.ir.dims import DimLike
from tpc.ir.types import F32, F64, I8, I32, I64

NUMBERS, INDICES = {"d": F64, "f": F32}, {"b": I8, "i": I32, "l": I64}
TURNED = {"csr": "csc", "csc": "csr"}  # whose arrays are those of the transpose
BY_LINES = ("data", "indices", "indptr")
WIDE = 64  # columns of the other matrix that are taken at a time
CANONICAL = ("has_canonical_format",)  # entries in order, each once
LARGEST = 64  # entries of a block, for which there is code of its own


class Kernel(NamedTuple):
    """A kernel for matrices of a class.

    Attributes
    ----------
    format
        Of the matrices: `csr`, `csc`, `bsr` or `dia`.
    number, place
        The letters that NumPy has for the formats of their entries, and of their places.
    right
        What they meet: `vector`, `matrix`, or `sampled` for two matrices of whose product few entries are needed.
    side
        `lower` or `upper` for a system with that triangle, in the place of a product.
    block
        Entries in a block, by its rows and columns.
    is_turned
        Whether it is the transpose that is meant.
    """

    format: str
    number: str
    place: str
    right: str
    block: tuple[int, int] = (1, 1)
    is_turned: bool = False
    side: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is one."""
        if self.number not in NUMBERS or INDICES.get(self.place, I8) is I8:
            return False
        match self.format:
            case "csr" | "csc":
                return True
            case "dia":
                return self.right != "sampled" and not self.side
            case "bsr":
                return not self.side and self.right == "matrix" and 1 <= self.block[0] * self.block[1] <= LARGEST**2
        return False

    @property
    def name(self) -> str:
        """That of the native code."""
        if self.right == "sampled":
            return "sampled"
        format = TURNED[self.format] if self.is_turned else self.format
        words = [format, *([self.side] if self.side else []), *(["vector"] if self.right == "vector" else [])]
        return "_".join(words)

    @property
    def stored(self) -> Stored:
        """Where its operands are in a matrix."""
        format = self.name.removesuffix("_vector")
        dims: tuple[DimLike, ...] = (ENDS - 1, INNER)
        match format:
            case _ if self.side:
                dims = (INNER, INNER)
            case "sampled":
                dims = (ROWS, COLUMNS)
            case "csc" | "dia":
                dims = (ROWS, INNER)
            case "bsr":
                dims = (self.block[0] * (ENDS - 1), INNER)
        if self.is_turned or format == "sampled" and self.format == "csc":
            dims = dims[::-1]
        arrays = ("data", "offsets") if format == "dia" else BY_LINES
        truths = CANONICAL if self.side else ()
        return Stored((f"{self.format}_array", f"{self.format}_matrix"), arrays, dims, truths)

    @property
    def guards(self) -> tuple[DimLike, ...]:
        """What must not be negative, as there is one start for each line, and one for the end."""
        lines = ROWS if self.right == "sampled" else INNER
        is_told = self.name.startswith(("csr", "bsr", "dia")) and not self.side
        return () if is_told else (ENDS - 1 - lines, lines + 1 - ENDS)

    @property
    def narrow(self) -> tuple[DimLike, ...]:
        """What must not be negative for a product to be made in one piece."""
        return (WIDE - COLUMNS,) if self.right == "matrix" and not self.side else ()

    def entry(
        self,
        slow: Callable[..., Any],
        parameters: Sequence[str] = (),
        sources: Sequence[int] = (),
        nonnegative: Sequence[DimLike] = (),
        is_given: bool = False,
    ) -> Callable[..., Any]:
        """The kernel as a function of a matrix and what it meets, in whatever order `sources` say.

        A product of which few entries are needed is given as a matrix with the pattern of the first. Where the matrix
        `is_given` by a user, that must be in order.
        """
        from tpc.backends.llvm.entry import entry

        number, index, stored = NUMBERS[self.number], INDICES[self.place], self.stored
        if is_given and self.right == "sampled":
            stored = replace(stored, truths=CANONICAL)
        code = triangle(self.name, number, index) if self.side else native(self.name, number, index, self.block)
        rights = 2 if self.right == "sampled" else 1
        sources = sources or (*[0] * len(stored.arrays), *range(1, 1 + rights))
        return entry(
            code,
            slow,
            parameters or ("A", "B", "C")[: 1 + rights],
            nonnegative=(*self.guards, *nonnegative),
            sources=sources,
            stored={sources[0]: stored},
            finish=with_entries if self.right == "sampled" else None,
        )


def with_entries(A: Any, entries: Any) -> Any:
    """An array of SciPy with the pattern of a matrix by rows or columns.

    Its class would look at the pattern again, which takes longer than most products.
    """
    import scipy.sparse

    kind = scipy.sparse.csr_array if A.format == "csr" else scipy.sparse.csc_array
    if type(A) is not kind:
        return kind((entries, A.indices, A.indptr), shape=A.shape)
    made = object.__new__(kind)
    vars(made).update(vars(A))
    made.data = entries
    return made
