"""The run-time library of native code: the pool of threads, and memory for temporaries."""

from __future__ import annotations

from tpc.backends.llvm import arena, threads

SYMBOLS = (*threads.SYMBOLS, *arena.SYMBOLS)


def library(triple: str, has_atfork: bool = True) -> str:
    """The library as LLVM IR. See `threads.pool` for the parameters."""
    return threads.pool(triple, has_atfork) + arena.arena()
