"""Functions that are stepped: their first results are their first arguments of the next call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tpc.dsl.diagnostics import fail

if TYPE_CHECKING:
    from tpc.compiled import Compiled


class Stepper:
    """A function with its state, made by `Compiled.start`: each call is a step.

    A step that fails leaves the state as it was. The state has the caller's kind of arrays: torch tensors stay on
    their device. What it lets go is taken for the results of later steps (docs/native.md).
    """

    def __init__(self, compiled: Compiled, state: tuple[Any, ...]) -> None:
        self._compiled = compiled
        self._state = state
        if not state:
            raise fail(
                "E0801",
                f"`{compiled.__name__}` is started without a state",
                help="give the values that its first parameters have in the first step",
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One step with the other arguments, by position and by name.

        Returns
        -------
        The results that come after the state: None, one, or a tuple.

        Raises
        ------
        TpcError
            As a call of the function does; E0816 if it has fewer results than the state has values.
        """
        returned = self._compiled(*self._state, *args, **kwargs)
        results = returned if isinstance(returned, tuple) else (returned,)
        count = len(self._state)
        if len(results) < count:
            raise fail(
                "E0816",
                f"`{self._compiled.__name__}` has {len(results)} result{'s' * (len(results) > 1)}, "
                f"and was started with {count} values",
                help="its first results must be the next values of these, in their order",
            )
        self._state, rest = tuple(results[:count]), tuple(results[count:])
        return rest if len(rest) > 1 else rest[0] if rest else None

    @property
    def state(self) -> Any:
        """The state after the last step: one value, or a tuple."""
        return self._state if len(self._state) > 1 else self._state[0]

    def __repr__(self) -> str:
        return f"<{self._compiled.__name__} with a state of {len(self._state)}>"
