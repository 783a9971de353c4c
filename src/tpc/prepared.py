"""Functions prepared for parameters: what depends on these alone is computed ahead, and held for all calls."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tpc.binding import bind, match
from tpc.compiled import Compiled
from tpc.function import Function
from tpc.ir.dims import names_of
from tpc.ir.node import Program
from tpc.ir.types import F64, TensorType
from tpc.operands import adopt
from tpc.passes.stages.times import parameters
from tpc.settings import Settings
from tpc.stage import BEGIN, Stage

if TYPE_CHECKING:
    from tpc.passes.pipeline import Plan
    from tpc.passes.stages.split import Stages


NONE: Mapping[str, float] = {}


@dataclass(frozen=True)
class Pair:
    """Both stages of a function for parameters of certain sizes, compiled.

    Attributes
    ----------
    written, plan
        The program as it was written, and the plan from which both stages were taken.
    kind, sizes
        The kind of arrays, and the sizes of the parameters.
    """

    written: Program
    plan: Plan
    stages: Stages
    ahead: Compiled
    each: Compiled
    kind: str
    sizes: Mapping[str, int]


class Preparer:
    """Prepares a function for parameters; its stages are compiled once for all that are of the same sizes."""

    def __init__(self, function: Function, settings: Settings) -> None:
        self.function, self.settings = function, settings
        self.pairs: dict[tuple[object, ...], Pair] = {}

    @cached_property
    def stays(self) -> tuple[str, ...]:
        """The parameters that are declared to change rarely, where there are others; none where types are missing."""
        whole = self.function.elaborated()
        found = [node["name"] for node in parameters(whole.generic())] if whole.is_generic else []
        return tuple(found) if len(found) < len(whole.parameters) else ()

    @property
    def words(self) -> str:
        """What preparing it would do."""
        listed, example = " and ".join(f"`{n}`" for n in self.stays), ", ".join(f"{n}=..." for n in self.stays)
        return (
            f"`.prepare({example})` computes ahead what depends on {listed} alone, and gives a function that holds it"
        )

    def takes(self, given: Mapping[str, object]) -> bool:
        """Whether arguments are parameters that stay, all that have no default among them, and no others."""
        needed = {p.name for p in self.function.parameters if p.name in self.stays and p.default is None}
        return bool(self.stays) and needed <= given.keys() <= set(self.stays)

    def told(self, sizes: Mapping[str, int], plain: float | None) -> list[str]:
        """What would be held, and what calls would then take, where sizes are known; `plain` is what they take now."""
        from tpc.explanation.ahead import told

        program = self.function.elaborated().generic()
        needed = {name for node in parameters(program) for dim in node.tensor.dims for name in names_of(dim)}
        if not needed <= sizes.keys():
            return []
        return told(self.pair(program, "numpy", {n: s for n, s in sizes.items() if n in needed}), sizes, plain)

    def prepared(self, values: Mapping[str, object]) -> Prepared:
        """The function for these parameters; those that are missing have their defaults.

        Raises
        ------
        TpcError
            As a call with them.
        """
        whole, settings = self.function.elaborated(), self.settings
        values = {**{p.name: p.default for p in whole.parameters if p.default is not None}, **values}
        program = self._program(whole, values)
        given = parameters(program)
        early = Program(program.name, given, given, [f"{node['name']}_out" for node in given])
        first = Stage(whole, early, whole.notes)
        dims = {name: size for name, size in settings.dims.items() if name in first.size_names}
        bound = bind(first, values, dims, settings.backend, keep_sparse=settings.keeps_sparse)
        pair = self.pair(program, bound.kind, bound.solution.sizes, bound.sparse)
        held = pair.ahead.run({p.name: values[p.name] for p in pair.ahead.function.parameters})
        return Prepared(self.function, pair, {name: _fixed(value) for name, value in held.items()})

    def restored(self, path: str | os.PathLike[str]) -> Prepared:
        """The function for what was saved of it. Raises TpcError as `keeping.restored`."""
        from tpc.keeping import restored

        pair, held = restored(self, path)
        return Prepared(self.function, pair, {name: _fixed(value) for name, value in held.items()})

    def _program(self, whole: Function, values: Mapping[str, object]) -> Program:
        """The program as it was written; an array whose format is left open has that of the parameters."""
        generic = whole.generic()
        formats = [
            adopt(values[p.name], p.name).dtype for p in whole.parameters if p.name in values and p.dtype is None
        ]
        usual = next((dtype for dtype in formats if dtype.is_float), F64)
        types = []
        for p, node in zip(whole.parameters, generic.inputs, strict=True):
            own = adopt(values[p.name], p.name).dtype if p.name in values else usual
            types.append(TensorType(p.dtype or own, node.tensor.dims))
        return whole.instance(types)

    def pair(self, program: Program, kind: str, sizes: Mapping[str, int], sparse: Mapping[str, float] = NONE) -> Pair:
        """Both stages for arguments of a kind, where the parameters have these sizes, and some are sparse."""
        key = (program, kind, tuple(sorted(sizes.items())), tuple(sorted(sparse.items())))
        if key not in self.pairs:
            self.pairs[key] = self._pair(program, kind, {**self.settings.dims, **sizes}, sparse)
        return self.pairs[key]

    def _pair(self, program: Program, kind: str, sizes: Mapping[str, int], sparse: Mapping[str, float]) -> Pair:
        from tpc.backends import store
        from tpc.ir.notes import keeping
        from tpc.passes.pipeline import PIPELINE, Options, run
        from tpc.passes.stages.split import split

        whole, settings = self.function.elaborated(), self.settings
        backend = settings.backend if settings.backend != "auto" else kind
        options = Options(
            *(sizes, {}, settings.mode, backend, settings.threads, settings.memory),
            calls=settings.calls,
            sparse=sparse,
            tolerance=settings.tolerance,
            store=store,
        )
        names = [step.name for step in PIPELINE]
        plan = run(program, options, names[names.index(BEGIN) - 1], whole.notes)
        with keeping(plan.notes):
            stages = split(plan.program, plan.notes.names)
        own = replace(settings, dims={}, verify=False)
        ahead, each = (Compiled(Stage(whole, stage, plan.notes), own) for stage in (stages.ahead, stages.each))
        return Pair(program, plan, stages, ahead, each, kind, dict(sizes))


class Prepared:
    """A function with its parameters given, made by `Compiled.prepare`. Called with the other arguments.

    Attributes
    ----------
    held : mapping of str to array
        What was computed of the parameters, read-only. Arrays that were given are copied where calls need them, so
        that they may be changed afterwards.

    Examples
    --------
    >>> import numpy as np, tpc
    >>> f = tpc.compile("def solve(A: f64[n, n] is param and nonsingular, b: f64[n]) = A \\\\ b")
    >>> solve = f.prepare(A=np.diag([2.0, 4.0]))
    >>> solve([1, 1])
    array([0.5 , 0.25])
    """

    def __init__(self, function: Function, pair: Pair, held: Mapping[str, Any]) -> None:
        self.function, self.pair, self.held = function, pair, dict(held)
        self._values = tuple(self.held[p.name] for p in pair.each.function.parameters[: len(held)])
        self._others = {p.name: None for p in pair.each.function.parameters[len(held) :]}.keys()
        self.__name__, self.__doc__ = function.name, function.source_text

    def __call__(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        """The results for the other arguments, by position in their order or by name.

        Raises
        ------
        TpcError
            When called with arguments that do not fit, as the function itself.
        """
        if len(args) > len(self._others) or not kwargs.keys() <= self._others:
            match(self._rest, args, kwargs)  # says what is wrong
        return self.pair.each(*self._values, *args, out=out, **kwargs)

    @property
    def _rest(self) -> Function:
        """The function of the other arguments, for messages."""
        each = self.pair.stages.each
        others = each.replace(inputs=each.inputs[len(self._values) :], outputs=(), output_names=(), facts=())
        return Stage(self.function.elaborated(), others, self.pair.plan.notes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what is held to a `.npz` file, which `Compiled.restore` reads.

        Raises
        ------
        TpcError
            E0707 for another suffix, E0712 if the file cannot be written.
        """
        from tpc.keeping import save

        save(self, path)

    # ---- looking at it

    @property
    def bytes(self) -> int:
        """Bytes that are held."""
        return sum(array.nbytes for value in self.held.values() for array in _arrays(value))

    @property
    def ahead(self) -> Compiled:
        """The stage that made what is held."""
        return self.pair.ahead

    @property
    def each(self) -> Compiled:
        """The stage that calls run: a function of what is held, and of the other arguments."""
        return self.pair.each

    @property
    def program(self) -> Program:
        """What each call runs."""
        return self.pair.stages.each

    @property
    def source(self) -> str:
        """The Python module that calls run; what is held are its first arguments."""
        return self.pair.each.source

    def explain(self) -> str:
        """What is prepared ahead, and what each call does."""
        from tpc.explanation import account, text
        from tpc.explanation.ahead import told

        each, pair, at = self.each, self.pair, self.each.sizes
        joint = account(pair.written, pair.plan, at)  # both stages were chosen together
        found = account(each.program, each.plan, at, backend=each.backend)
        found = replace(found, derivations=joint.derivations, outcome=joint.outcome)
        return text(replace(found, runs=each.runs, ahead=tuple(told(pair, at))))

    def __repr__(self) -> str:
        from tpc.memory import amount

        given = ", ".join(p.name for p in self.pair.ahead.function.parameters)
        return f"<tpc {self.function.signature}, prepared for {given}: {amount(self.bytes)}>"


def _arrays(value: Any) -> list[Any]:
    """The arrays that a value is made of."""
    return [value.data, value.indices, value.indptr] if hasattr(value, "indptr") else [value]


def _fixed(value: Any) -> Any:
    """A value that stays as it is: nobody else has it, and nothing can be written to it."""
    if hasattr(value, "detach"):
        return value.detach()
    import numpy as np

    held = value if hasattr(value, "indptr") else np.asarray(value)
    for array in _arrays(held):
        array.flags.writeable = False
    return held
