"""Ctrl-C on the command line, while native code runs: that does not look for signals until it is done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 1.0  # seconds for Python to see the signal
INTERRUPTED = 130


@contextmanager
def interruptible(word: str) -> Iterator[None]:
    """End the process with a word and exit code 130 where Ctrl-C does not get through to Python within a second.

    Files are written beside their place and moved there, so that none is left half written.
    """
    if threading.current_thread() is not threading.main_thread() or os.name != "posix":
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    is_over = threading.Event()
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader, is_over, word), name="tpc-interrupts", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        signal.set_wakeup_fd(before)
        os.close(writer)  # ends the thread


def _watch(reader: int, is_over: threading.Event, word: str) -> None:
    while caught := os.read(reader, 1):
        if caught[0] == signal.SIGINT and not is_over.wait(PATIENCE):
            os.write(2, f"{word}\n".encode())
            os._exit(INTERRUPTED)
    os.close(reader)
