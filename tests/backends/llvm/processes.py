"""Child processes of tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


def in_child(work: Callable[[], bool]) -> bool:
    """What a function gives in a child process of this one; False if it does not end."""
    child = os.fork()
    if child == 0:
        done = False
        try:
            done = work()
        finally:
            os._exit(0 if done else 1)
    for _ in range(2000):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False
