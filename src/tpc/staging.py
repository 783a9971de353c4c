"""Calls with the same parameters one after the other: what depends on these alone is computed once.

Calls run as they are. When those with equal parameters have taken a while, the function is prepared for them (see
`tpc.prepared`), and as long as they stay equal calls go to what was prepared. Arrays are compared bit by bit with a
copy, never by identity, since they may be edited in place; the comparison is part of the call. Where it takes longer
than it spares, or parameters change all the time, calls run as they are again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.dsl.diagnostics import TpcError
from tpc.repeats import NUMBERS, Repeats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tpc.prepared import Prepared, Preparer

LOOK = 0.05  # seconds of calls with equal parameters after which it is prepared for them
FEW = 5  # changes of parameters, and calls with what is held, after which it is judged whether that pays
CHUNK = 2**18  # bytes that are compared at a time, so that a difference is found early
LEAST = 0.95  # of the seconds of a call as it is: what one with held values may take

Copies = list["NDArray[Any]"]


class Staging:
    """What is known of the parameters of a function's calls.

    Parameters
    ----------
    preparer
        Prepares the function.
    names
        All parameters of the function, in order.
    stays
        Those that are declared to change rarely.

    Attributes
    ----------
    is_open
        Whether parameters are compared, since that may pay.
    declined
        Why calls run as they are, once that is decided.
    """

    def __init__(self, preparer: Preparer, names: Sequence[str], stays: Sequence[str]) -> None:
        self.preparer = preparer
        self.places = [k for k, name in enumerate(names) if name in stays]
        self.others = [k for k, name in enumerate(names) if name not in stays]
        self.stays = [names[k] for k in self.places]
        self.is_open = bool(self.places) and bool(self.others)
        self.declined = ""
        self.calls = self.changes = self.served = 0
        self.plain = self.held = float("inf")  # the least seconds of a call as it is, and of one with held values
        self._arguments = Repeats(names)
        self._ready: tuple[Copies, Prepared] | None = None
        self._copies: Copies | None = None
        self._spent = 0.0
        self._lock = threading.Lock()

    def call(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """The results with what is held; None where nothing is held for these parameters."""
        ready = self._ready
        if ready is None:
            return None
        copies, prepared = ready
        given = self._arguments.by_position(args, named) if named else args
        if given is None or len(given) <= self.places[-1]:
            return None
        began = perf_counter()
        if not all(is_same(given[k], copy) for k, copy in zip(self.places, copies)):
            return None
        try:
            found = prepared(*[given[k] for k in self.others if k < len(given)])
        except TpcError:
            return None  # the function itself says what is wrong
        self.held = min(self.held, perf_counter() - began)
        self.served += 1
        if self.served == FEW and self.held > LEAST * self.plain:
            self._decline("to compare the parameters with those before takes longer than it spares")
        return found

    def add(self, bound: Sequence[Any], seconds: float) -> None:
        """A call was made as it is, with these arguments; it took so long."""
        given = [bound[k] for k in self.places]
        with self._lock:
            if not self.is_open:
                return
            self.calls += 1
            self.plain = min(self.plain, seconds)
            if self._copies is None or not all(map(is_same, given, self._copies)):
                self.changes += self._copies is not None
                if self.changes >= FEW and self.calls + self.served <= 2 * self.changes:
                    self._decline("the values change at nearly every call")
                    return
                self._copies, self._spent, self._ready = [np.array(a, order="C") for a in given], 0.0, None
                return
            self._spent += seconds
            if self._ready is None and self._spent > LOOK:
                try:
                    self._ready = self._copies, self.preparer.prepared(dict(zip(self.stays, self._copies)))
                except TpcError as error:
                    self._decline(error.diagnostics[0].title)

    def _decline(self, reason: str) -> None:
        self.declined, self.is_open = reason, False
        self._ready = self._copies = None

    @property
    def words(self) -> str:
        """What becomes of the parameters, and what the user can do."""
        ready = self._ready
        listed = " and ".join(f"`{name}`" for name in self.stays)
        if ready is not None:
            return f"{ready[1].bytes:,} bytes computed of {listed} are held, as long as calls bring the same again"
        if self.declined:
            return f"calls hold nothing for {listed}: {self.declined}; {self.preparer.words}"
        return self.preparer.words


def is_same(value: Any, copy: NDArray[Any]) -> bool:
    """Whether a value is an array of the same format with the same bits, or a number of the same value."""
    if type(value) is not np.ndarray:
        return type(value) in NUMBERS and not copy.ndim and bool(value == copy)
    if value.dtype != copy.dtype or value.shape != copy.shape:
        return False
    words = np.uint64 if copy.nbytes % 8 == 0 else np.uint8
    first, second = (np.ascontiguousarray(a).reshape(-1).view(words) for a in (value, copy))
    step = CHUNK // first.itemsize
    return all(bool((first[k : k + step] == second[k : k + step]).all()) for k in range(0, len(first), step))
