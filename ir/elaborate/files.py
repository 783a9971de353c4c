"""How a program reaches other files."""

from __future__ import annotations

from typing import Protocol

from tpc.dsl.diagnostics import TpcError, fail
from tpc.dsl.source import Source, Span
from tpc.ir.ops.structure import ConstantData
from tpc.ir.types import DType


class Files(Protocol):
    """How `use` and `load` reach files below the folder of the program."""

    def program(self, path: str, origin: Source, span: Span) -> Source:
        """The text of another program. Raises TpcError."""
        ...

    def array(self, path: str, origin: Source, span: Span, wanted: DType | None = None) -> ConstantData:
        """An array from a file, in the wanted format where the file leaves it open. Raises TpcError."""
        ...

    def sparse(self, path: str, origin: Source, span: Span) -> tuple[int, int] | None:
        """The rows and columns of a matrix that a file stores by its entries; None for other files. Raises TpcError.

        Its parts are arrays: `values`, their `columns`, and the `starts` of rows, as in `A.mtx:values`.
        """
        ...


class NoFiles:
    """For a program given as text: there is no folder to read from."""

    def program(self, path: str, origin: Source, span: Span) -> Source:
        raise self._refused(span)

    def array(self, path: str, origin: Source, span: Span, wanted: DType | None = None) -> ConstantData:
        raise self._refused(span)

    def sparse(self, path: str, origin: Source, span: Span) -> tuple[int, int] | None:
        raise self._refused(span)

    def _refused(self, span: Span) -> TpcError:
        return fail(
            "E0701",
            "a program given as text has no folder to read files from",
            span,
            help="save it to a file, or give the folder with `folder=`",
        )
