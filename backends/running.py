"""The function of an emitted NumPy module, in this process."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType
from typing import Any

from tpc.backends.contract import Emitted
from tpc.backends.quiet import quietly


class Running:
    """A module that runs: `namespace` is what it defines, and `main` the function that calls go to, as it was read."""

    def __init__(self, emitted: Emitted, main: ast.FunctionDef, namespace: dict[str, Any]) -> None:
        self.emitted, self.main, self.namespace = emitted, main, namespace
        self.function: Callable[..., Any] = namespace[emitted.function]
        self._checked: dict[int | None, CodeType] = {}

    def __call__(self, *arguments: Any, **sizes: int) -> Any:
        return quietly(self.function, *arguments, **sizes)

    def checked(self, sizes: Mapping[str, int], variant: int | None = None) -> Callable[..., Any]:
        """The function for arguments that were found right: arrays of its formats, whose sizes are these.

        It is what the source says, without the checks; of several plans it takes the one of this number. It does not
        keep NumPy quiet.
        """
        if variant not in self._checked:
            self._checked[variant] = self._without_checks(variant)
        made = FunctionType(self._checked[variant], self.namespace, argdefs=self.function.__defaults__)
        variables = self.emitted.head.sizes
        made.__kwdefaults__ = {variables[name]: size for name, size in sizes.items() if name in variables}
        return made

    def _without_checks(self, variant: int | None) -> CodeType:
        head, main = self.emitted.head, self.main
        start = 1 + head.checks  # behind the docstring
        rest = main.body[start:]
        if variant is not None:  # how plans are compared is not needed any more
            returns = [s for s in ast.walk(main) if isinstance(s, ast.Return)]  # one for each
            returns.sort(key=lambda s: s.lineno)
            rest = [*main.body[start : start + head.formats], returns[variant]]
        sizes = [ast.arg(name) for name in head.sizes.values()]
        arguments = ast.arguments([], main.args.args, kwonlyargs=sizes, kw_defaults=[None] * len(sizes), defaults=[])
        function = ast.FunctionDef(main.name, arguments, rest, [])
        code = compile(ast.fix_missing_locations(ast.Module([function], [])), "<tpc>", "exec")
        return next(c for c in code.co_consts if isinstance(c, CodeType))
