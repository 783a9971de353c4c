"""The run-time library of native code: the pool of threads, memory for temporaries, and the threads of BLAS."""

from __future__ import annotations

from tpc.backends.llvm import arena, blas, threads

SYMBOLS = (*threads.SYMBOLS, *arena.SYMBOLS, *blas.SYMBOLS)


def library(triple: str, has_atfork: bool = True) -> str:
    """The library as LLVM IR. See `threads.pool` for the parameters."""
    return threads.pool(triple, has_atfork) + arena.arena() + blas.one_thread()
