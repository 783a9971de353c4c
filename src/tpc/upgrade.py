"""Native code for a function that runs in NumPy: made when that pays, and taken where it is faster.

Calls run in NumPy. What native code would spare at each is predicted (`gains`), and once it adds up to about what it
costs to make, a thread makes it: so a program that is called a few times never waits for it, nor for the import of
LLVM. Then, for each of the sizes that come, calls go to one and to the other in turn, and the faster one stays. What
was decided is kept on disk, and the next process takes it from there.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from math import ceil, inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tpc.backends.running import Running
    from tpc.code import Code
    from tpc.decisions import Decisions
    from tpc.specialised import Specialised

LOOK = 0.05  # seconds of calls after which it is looked at whether native code would pay
START, EACH = 0.2, 0.1  # seconds that native code takes to make: of the import, and of each function
TURNS, FEW = 20, 6  # calls in turn before one is chosen, and where native code is clearly slower, or calls are long
ENOUGH = 0.2  # seconds of calls in turn after which a few will do
CLEARLY = 2.0  # times the seconds in NumPy
LONG = 1.0  # seconds of a call in NumPy before which native code is made, if that pays at this very call
LEAST = 0.95  # of the seconds in NumPy: what native code may take to be chosen
BRIEF = 2e-4  # seconds for which a thread has the interpreter, while native code is made
REMEMBERED = 10_000  # sizes

Run = Callable[..., Any]


class Upgrade:
    """A function that may become native.

    Parameters
    ----------
    plain
        The function in NumPy.
    expected
        The seconds that it is predicted to take, by its sizes.
    make
        Gives the native function, without waiting for its code.
    changed
        Called when calls are to be served by something else than before: the functions that `on` gave are outdated.
    decisions
        Those of other processes, where they are kept.

    Attributes
    ----------
    native
        The native function, once its code is there.
    declined
        Why there is none, where that is known.
    times
        By sizes, the seconds of a call in NumPy and in native code, where both were measured, now or in another
        process.
    """

    def __init__(
        self,
        plain: Running,
        expected: Callable[[Mapping[str, int]], float],
        make: Callable[[], Specialised],
        changed: Callable[[Specialised | None], None],
        decisions: Callable[[], Decisions] | None = None,
    ) -> None:
        self.plain, self.expected, self.make, self.changed, self._decisions = plain, expected, make, changed, decisions
        self.candidate: Specialised | None = None
        self.native: Specialised | None = None
        self.declined: str | None = None
        self.times: dict[tuple[int, ...], tuple[float, float]] = {}
        self._functions: dict[tuple[int, ...], Run] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def on(self, sizes: Mapping[str, int], variant: int | None) -> Run:
        """The function for arguments of these sizes that were checked."""
        key = tuple(sizes.values())
        found = self._functions.get(key)
        if found is None:
            if len(self._functions) >= REMEMBERED:
                self._functions.clear()
            found = self._functions[key] = self._function(key, sizes, variant)
        return found

    def _function(self, key: tuple[int, ...], sizes: Mapping[str, int], variant: int | None) -> Run:
        plain = self.plain.checked(sizes, variant)
        if self.native is not None:
            native: Run = self.native.run.checked(sizes, self.native.variant(sizes))  # type: ignore[attr-defined]
            if key in self.times:
                return native if self.is_faster(self.times[key]) else plain
            return self._contest(key, plain, native, self.expected(sizes))
        return plain if self.declined is not None else self._counted(plain, sizes)

    def _counted(self, plain: Run, sizes: Mapping[str, int]) -> Run:
        """The function in NumPy, which has native code made when that pays; the clock is looked at less and less."""
        count = 0

        def counted(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count & (count - 1):
                return plain(*arguments)
            began = perf_counter()
            result = plain(*arguments)
            if count > 1 and count * (perf_counter() - began) > LOOK:
                self._look(sizes, count)
            return result

        return counted

    def _look(self, sizes: Mapping[str, int], calls: int) -> None:
        """Go on in a thread, unless one is at it."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._go_on, args=(sizes, calls), name="tpc-native", daemon=True)
                self._thread.start()

    def finish(self, sizes: Mapping[str, int]) -> None:
        """Have native code before returning, if it is predicted to spare anything at these sizes."""
        self._wait(sizes, None)

    def hasten(self, sizes: Mapping[str, int]) -> None:
        """Have native code before a long call, if it pays at this call alone."""
        if self.native is None and self.declined is None and self.expected(sizes) >= LONG:
            self._wait(sizes, 1)

    def _wait(self, sizes: Mapping[str, int], calls: int | None) -> None:
        if self._thread is not None:
            self._thread.join()
        self._go_on(sizes, calls)

    def _go_on(self, sizes: Mapping[str, int], calls: int | None) -> None:
        """Make native code, if that pays by now; None stands for as many calls as it takes."""
        with _giving_way():
            self._made(sizes, calls)

    def _made(self, sizes: Mapping[str, int], calls: int | None) -> None:
        self.consider()
        if self.native is not None or self.candidate is None:
            return
        spared = self._spared(self.candidate, sizes)
        if spared <= 0 or calls is not None and calls * spared < cost(self.candidate.code):
            return
        run: Any = self.candidate.run
        run.finish()
        if run.failure is not None:
            self._decline(f"it cannot be made: {run.failure}")
            return
        self.native = self.candidate
        self._functions.clear()
        self.changed(self.native if self.times and all(map(self.is_faster, self.times.values())) else None)

    def _spared(self, candidate: Specialised, sizes: Mapping[str, int]) -> float:
        """The seconds that native code spares at a call: measured, or else predicted."""
        times = self.times.get(tuple(sizes.values()))
        if times is not None:
            return times[0] - times[1] if self.is_faster(times) else 0.0
        return candidate.code.gain(sizes)

    def consider(self) -> None:
        """Find out what there would be in native code; nothing is compiled yet."""
        if self.candidate is not None or self.declined is not None:
            return
        if find_spec("llvmlite") is None:
            self._decline("llvmlite is not installed")
            return
        try:
            candidate = self.make()
        except Exception as error:  # whatever is wrong with it, NumPy goes on
            self._decline(f"it cannot be made: {error}")
            return
        if any(candidate.code.gains):
            self.candidate = candidate
            if self._decisions is not None:
                self.times = {**self._decisions().find(), **self.times}
        else:
            self._decline("it would spare nothing")

    def _decline(self, reason: str) -> None:
        self.declined, self.candidate = reason, None
        self._functions.clear()
        self.changed(None)

    def _contest(self, key: tuple[int, ...], plain: Run, native: Run, expected: float) -> Run:
        """Both in turn, until one of them has shown to be faster; by the least seconds, as others are at work too.

        What NumPy is expected to be long at is begun with native code; if that is clearly faster, NumPy has no turn.
        """
        functions, best, turns, spent = (plain, native), [inf, inf], 0, 0.0
        is_long = expected >= LONG

        def timed(*arguments: Any) -> Any:
            nonlocal turns, spent
            turn = (turns + is_long) % 2
            turns += 1
            began = perf_counter()
            result = functions[turn](*arguments)
            seconds = perf_counter() - began
            best[turn], spent = min(best[turn], seconds), spent + seconds
            if is_long and turns == 1 and CLEARLY * best[1] < expected:
                self._settle(key, functions, (expected, best[1]))
            elif turns >= TURNS or turns >= FEW and (spent > ENOUGH or best[1] > CLEARLY * best[0]):
                self._settle(key, functions, (best[0], best[1]))
            return result

        return timed

    def _settle(self, key: tuple[int, ...], functions: tuple[Run, Run], times: tuple[float, float]) -> None:
        self.times[key] = times
        if self._decisions is not None and max(times) < inf:  # one that fails each time takes for ever, in this process
            self._decisions().keep({key: times})
        is_native = self.is_faster(times)
        self._functions[key] = functions[is_native]
        always = is_native and all(map(self.is_faster, self.times.values()))
        self.changed(self.native if always else None)

    @staticmethod
    def is_faster(times: tuple[float, float]) -> bool:
        """Whether native code is, by the seconds in NumPy and in it."""
        return times[1] <= LEAST * times[0]

    def words(self, sizes: Mapping[str, int]) -> str:
        """What runs at some sizes, and why."""
        from tpc.explanation.words import seconds_text

        self.consider()
        times = self.times.get(tuple(sizes.values()))
        if times is not None and (self.native is not None or not self.is_faster(times)):
            slower, faster = (times[0], times[1]) if self.is_faster(times) else (times[1], times[0])
            one, other = ("native code", "NumPy") if self.is_faster(times) else ("NumPy", "native code")
            return f"runs in {one}: measured, {seconds_text(faster)} against {seconds_text(slower)} in {other}"
        if self.native is not None:
            return "runs in NumPy and in native code by turns, until it is known what is faster"
        if self.candidate is None:
            return f"runs in NumPy; there is no native code: {self.declined}"
        if not self.candidate.code.gain_sizes <= set(sizes):
            return "runs in NumPy; native code is made when calls have shown that it pays"
        spared = self._spared(self.candidate, sizes)
        if spared <= 0:
            return "runs in NumPy; native code would spare nothing at these sizes"
        calls = ceil(cost(self.candidate.code) / spared)
        return f"runs in NumPy; native code would spare {seconds_text(spared)}, and is made after some {calls} calls"


def cost(native: Code) -> float:
    """The seconds that native code takes to make."""
    return START + EACH * len(native.emitted.natives)


@contextmanager
def _giving_way() -> Iterator[None]:
    """Let other threads of Python have the interpreter more often: what is made here can wait, and calls go on."""
    global _busy, _usual
    with _counting:
        if not _busy:
            _usual = sys.getswitchinterval()
            sys.setswitchinterval(min(_usual, BRIEF))
        _busy += 1
    try:
        yield
    finally:
        with _counting:
            _busy -= 1
            if not _busy:
                sys.setswitchinterval(_usual)


_counting = threading.Lock()
_busy, _usual = 0, 0.0
