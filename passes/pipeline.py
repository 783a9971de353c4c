"""The whole compiler on one page: read from top to bottom, it says what happens to a program.

A pass is a named pure function from program to program; its options are the fields of `Options`. The verifier runs
after each, and names the pass if it left something wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tpc.dsl.collection import no_collection
from tpc.dsl.diagnostics import fail
from tpc.ir.elaborate.scope import suggestion
from tpc.ir.node import Program
from tpc.ir.notes import Notes, keeping
from tpc.ir.ops.structure import DERIVATIVE
from tpc.ir.sizes import with_sizes
from tpc.ir.verify import verify
from tpc.passes.differentiate import differentiate, without_surrogates
from tpc.passes.fold import fold
from tpc.passes.hoist import hoist
from tpc.passes.inline import inline
from tpc.passes.memory.schedule import schedule
from tpc.passes.one_sided import one_sided
from tpc.passes.prune import prune
from tpc.passes.recurrences.stepwise import stepwise
from tpc.passes.respell import respell, respell_plan
from tpc.passes.share_sums import share_sums
from tpc.passes.sparse.constants import holds_sparse
from tpc.passes.vectorise import vectorise

if TYPE_CHECKING:
    from tpc.passes.approximation.keeping import Store
    from tpc.passes.approximation.replacing import Approximated
    from tpc.passes.memory.liveness import Liveness
    from tpc.passes.optimise import Optimised, Request
    from tpc.passes.rematerialise import Within
    from tpc.passes.solvers.choice import Iterated


@dataclass(frozen=True)
class Options:
    """What a compilation is asked for."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    at: Mapping[str, int] = field(default_factory=dict)  # sizes to choose for, where they are open
    mode: str = "stable"
    backend: str = "numpy"
    threads: int | None = None
    memory: int | None = None  # bytes that the program may hold
    levels: int = 1  # of segments that loops are cut into before they are differentiated, so that less is kept
    calls: int = 1  # with the same parameters: work on these alone is done once, ahead
    sparse: Mapping[str, float] = field(default_factory=dict)  # inputs that come in sparse, and their densities
    native: bool = False  # whether NumPy code runs with native code for sparse products
    tolerance: float = 0.0  # relative error of each result that is allowed
    store: Store | None = None  # where what is found for constants is kept
    live: Callable[[Program], Liveness] | None = None  # what is held by programs, where a backend fuses steps


@dataclass(frozen=True)
class Pass:
    name: str
    reason: str  # why it stands at its place
    run: Callable[[Program, Options], Program | Optimised | Approximated | Within | Iterated]


def optimises(options: Options) -> bool:
    """Whether equal forms are looked for; in mode `bitwise` there is none that rounds alike."""
    return options.mode != "bitwise"


def _optimised(program: Program, options: Options) -> Program | Optimised:
    if not optimises(options):
        return program
    from tpc.passes.optimise import search

    return search(program, _request(options))


def _differentiated(program: Program, options: Options) -> Program:
    kinds = {kind for node in program.walk() if node.op is DERIVATIVE for kind, _, _ in node["steps"]}
    if options.levels > 1 or kinds & {"jacobian", "hessian"}:  # sizes decide how loops are cut, and what is zero
        program = with_sizes(program, dict(options.sizes))
    return differentiate(program, levels=options.levels)


def _vectorised(program: Program, options: Options) -> Program:
    if not optimises(options):
        return program
    from tpc.passes.cost import profile

    is_native = options.backend == "llvm"
    made = vectorise(program, {**options.at, **options.sizes}, profile(options.backend, options.threads), is_native)
    return stepwise(made) if is_native else made


def _iterated(program: Program, options: Options) -> Program | Iterated:
    if not optimises(options) or not any(node.op.name in ("solve", "inv", "lstsq") for node in program.walk()):
        return program
    from tpc.passes.cost import profile
    from tpc.passes.solvers.choice import iterated

    return iterated(program, options, profile(options.backend, options.threads))


def _fused(program: Program, options: Options) -> Program | Optimised:
    if not optimises(options):
        return program
    from tpc.passes.kronecker import fuse_kronecker

    return fuse_kronecker(program, _request(options))


def _sparse(program: Program, options: Options) -> Program:
    has_kernels = options.backend == "numpy" and options.mode != "bitwise"
    if not options.sparse and not (has_kernels and holds_sparse(program, options.calls)):
        return program
    from tpc.passes.cost import profile
    from tpc.passes.sparse import sparse

    prices = profile(options.backend, options.threads)
    return sparse(program, options.sparse, {**options.at, **options.sizes}, prices, options.native, options.calls)


def _approximated(program: Program, options: Options) -> Program | Approximated:
    from tpc.passes.approximation.replacing import approximate

    request = _request(options) if optimises(options) else None
    lower = (lambda made: _sparse(made, options)) if options.native and request is not None else None
    return approximate(program, request, options.tolerance, options.store, lower)


def _within(program: Program, options: Options) -> Program | Within:
    from tpc.passes.choose.samples import open_sizes

    if options.memory is None or open_sizes(program):  # a plan is made for sizes, once they are known
        return program
    from tpc.passes.cost import profile
    from tpc.passes.kernels import node_seconds
    from tpc.passes.memory.liveness import Liveness
    from tpc.passes.rematerialise import rematerialise

    prices = profile(options.backend, options.threads)
    return rematerialise(
        program,
        options.memory,
        lambda node: node_seconds(node, prices, {}),
        Liveness(program, options.backend),
        options.live or (lambda changed: Liveness(changed, options.backend)),
    )


def _request(options: Options) -> Request:
    from tpc.passes.cost import profile
    from tpc.passes.optimise import Request

    prices = profile(options.backend, options.threads)
    sizes, is_native = {**options.at, **options.sizes}, options.backend == "llvm"
    return Request(prices, sizes, options.mode, calls=options.calls, is_native=is_native)


PIPELINE: tuple[Pass, ...] = (
    Pass(
        "differentiate",
        "First, so that derivatives are simplified like any other text, together with what they differentiate.",
        _differentiated,
    ),
    Pass(
        "specialise",
        "Sizes before all that follows: what is known of them decides it.",
        lambda program, options: with_sizes(program, dict(options.sizes)),
    ),
    Pass(
        "inline",
        "Calls give way to what they call, so that later passes see across functions.",
        lambda program, options: inline(program),
    ),
    Pass(
        "fold",
        "Numbers are computed now; inlining and sizes have made new ones.",
        lambda program, options: fold(program),
    ),
    Pass(
        "respell",
        "One spelling for equal things (double transposes, casts of casts, squares), so that they are shared.",
        lambda program, options: respell(without_surrogates(program)),
    ),
    Pass(
        "vectorise",
        "Products that a loop makes with one vector each are one product, before anything looks for the best form.",
        _vectorised,
    ),
    Pass(
        "iterate",
        "Before `kronecker`, which takes part in the products of steps, and while matrices show what they are made of.",
        _iterated,
    ),
    Pass(
        "kronecker",
        "Before `hoist`, which would compute products that do not change ahead of a loop and hide their factors.",
        _fused,
    ),
    Pass(
        "hoist",
        "What loops repeat for nothing goes before them, where it meets the rest of the program.",
        lambda program, options: hoist(program, settled=not optimises(options)),
    ),
    Pass(
        "approximate",
        "Loops that use a value that is approximated see its parts, which `hoist` would put together before them.",
        _approximated,
    ),
    Pass(
        "sparse",
        "What is zero is known by now; the search sees sparse kernels as they are, and chooses for the dense rest.",
        _sparse,
    ),
    Pass(
        "optimise",
        "Equal forms and the cheapest of them, once all is in one place and spelled alike.",
        _optimised,
    ),
    Pass(
        "share_sums",
        "Only now it is known what is added; the search prices each sum by itself.",
        lambda program, options: share_sums(program) if optimises(options) else program,
    ),
    Pass(
        "hoist_factors",
        "Inverses in loops have become factorizations, which may be the same in every pass.",
        lambda program, options: hoist(program),
    ),
    Pass(
        "vectorise_plan",
        "Loops whose bodies have been taken apart may now be products of all passes at once.",
        _vectorised,
    ),
    Pass(
        "one_sided",
        "What is read of a factorization is known once equal forms are found and nothing is left to be hoisted.",
        lambda program, options: one_sided(program, options.backend != "torch") if optimises(options) else program,
    ),
    Pass(
        "respell_plan",
        "The search takes means and quotients apart, and `hoist` has brought numbers to what they meet.",
        lambda program, options: respell_plan(program) if optimises(options) else program,
    ),
    Pass(
        "prune",
        "Last, since the passes before leave loop state and captured values that nothing needs.",
        lambda program, options: prune(program),
    ),
    Pass(
        "schedule",
        "The order of work is chosen once it is known what is done; it is held by data that waits for other data.",
        lambda program, options: schedule(program, options.backend),
    ),
    Pass(
        "rematerialise",
        "The last of all, for no pass may take equal values together that are computed again to hold less.",
        _within,
    ),
)


@dataclass(frozen=True)
class Plan:
    """A compiled program, the program after every pass that changed it, and the notes on their nodes.

    `search` is what the pass `optimise` chose from, if it ran; `fused` what the pass `kronecker` did, if it changed the
    program; `approximated` what became of budgets of error, if there are any; `within` what is known of a plan that was
    made for a budget of bytes; `iterated` which systems are solved by steps without being asked for; `levels` those of
    the segments of loops that are differentiated.
    """

    program: Program
    steps: tuple[tuple[str, Program], ...]
    notes: Notes
    search: Optimised | None = None
    fused: Optimised | None = None
    approximated: Approximated | None = None
    within: Within | None = None
    iterated: Iterated | None = None
    levels: int = field(default=1, kw_only=True)


@no_collection()
def run(
    program: Program,
    options: Options | None = None,
    stop_after: str | None = None,
    notes: Notes | None = None,
    begin: str | None = None,
) -> Plan:
    """Run the passes in order, from `begin` on, up to and including `stop_after`.

    Parameters
    ----------
    notes
        Those of the program's nodes.

    Raises
    ------
    TpcError
        If `stop_after` is not the name of a pass, or the program grows past a limit.
    InternalError
        If a pass breaks the program.
    """
    options = options or Options()
    if options.memory is not None and begin is None:
        from tpc.passes.rematerialise.segments import with_segments

        return with_segments(program, options, lambda chosen: _run(program, chosen, stop_after, notes, None))
    return _run(program, options, stop_after, notes, begin)


def _run(program: Program, options: Options, stop_after: str | None, notes: Notes | None, begin: str | None) -> Plan:
    names = [p.name for p in PIPELINE]
    if stop_after is not None and stop_after not in names:
        close = suggestion(stop_after, names)
        help = f"did you mean `{close}`?" if close else f"the passes are {', '.join(names)}"
        raise fail("E0809", f"`{stop_after}` is not a pass", help=help)
    steps: list[tuple[str, Program]] = []
    found: dict[str, Any] = {}
    kept = notes.copy() if notes is not None else Notes()
    with keeping(kept):
        for step in PIPELINE[names.index(begin) if begin is not None else 0 :]:
            before = program
            try:
                result = step.run(program, options)
            except RecursionError:
                raise fail("E0902", "blocks or calls are nested too deeply", help="use fewer levels") from None
            if isinstance(result, Program):
                program = result
            else:
                program, found[step.name] = result.program, result
            verify(program, step.name)
            if program is not before:
                steps.append((step.name, program))
            if step.name == stop_after:
                break
    reports = (found.get(name) for name in ("optimise", "kronecker", "approximate", "rematerialise", "iterate"))
    return Plan(program, tuple(steps), kept, *reports, levels=options.levels)
