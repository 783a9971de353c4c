"""The LLVM backend: regions of a plan as native functions, the rest as the numpy backend writes it.

plan ──regions──▶ functions ──fusion──▶ nests ──▶ LLVM IR ──engine──▶ object code ──entry──▶ callables
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tpc.backends.contract import Backend

    BACKEND: Backend


def __getattr__(name: str) -> Backend:
    if name != "BACKEND":
        raise AttributeError(name)
    from tpc.backends.llvm.backend import BACKEND

    return BACKEND
