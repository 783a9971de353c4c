"""Methods for linear systems as loops.

All of them go in rounds. A round begins with the true residual, and makes steps until the residual as the method
updates it is small; where rounding has parted the two, another round follows. No answer rests on an updated residual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path

from tpc.ir.build import Fresh, cast, items, literal, make, size, zeros
from tpc.ir.dims import DimLike, divide
from tpc.ir.node import Node, Program
from tpc.ir.ops.structure import REPEAT, SUBSCRIPT, At, Range
from tpc.ir.rewrite import replace
from tpc.ir.types import F64, TensorType, real_part
from tpc.passes.differentiate.arrays import fitted
from tpc.passes.differentiate.krylov import KRYLOV
from tpc.passes.differentiate.loops import declared
from tpc.passes.library import Library

_METHODS = Library(Path(__file__).with_name("methods.tp"))
DEFINITE = ("cg", "minres")  # methods that need a positive definite matrix or preconditioner
STEPS = 1000  # where the program does not say how many
ROUNDS = 20
FEW = 2  # where there is another way
BASIS = 30  # vectors of GMRES before it starts again
CLOSE = 64  # backward errors are some roundings where no tolerance is given
State = Sequence[Node]


class Rounds:
    """The loops of one system.

    Parameters
    ----------
    program
        Products with the matrix, and perhaps the preconditioner; its inputs are x, operands, and the right side.
    back
        Products of their transposes with the right side and x, for methods that take them.
    is_zero
        Whether x is zero where it begins.
    tries
        Whether a step is made at all, where there is another way; else they always are.
    """

    def __init__(
        self,
        program: Program,
        x: Node,
        right: Node,
        method: str,
        back: Sequence[Node] | None,
        tolerance: float | None,
        steps: DimLike | None,
        is_zero: bool = False,
        tries: Node | None = None,
    ) -> None:
        self.program, self.x, self.right, self.method, self.back = program, x, right, method, back
        self.fresh = Fresh(program)
        self.outside: dict[Node, Node] = {i: i for i in program.inputs}  # what loops capture, and what that is outside
        self.is_zero, self.tries = is_zero, tries
        self.steps, self.tolerance = steps or STEPS, tolerance
        self.unit = 2.2e-16 if real_part(x.tensor.dtype) is F64 else 1.2e-7

    # ---- products

    def times(self, v: Node) -> Node:
        return self._linear(self.program.outputs[0], self.x, v, self.right)

    def preconditioned(self, r: Node) -> Node:
        return self._linear(self.program.outputs[1], self.x, r, self.x) if len(self.program.outputs) > 1 else r

    def times_back(self, u: Node) -> Node:
        assert self.back is not None
        return self._linear(self.back[0], self.right, u, self.x)

    def preconditioned_back(self, u: Node) -> Node:
        assert self.back is not None
        return self._linear(self.back[1], self.x, u, self.x) if len(self.back) > 1 else u

    def _linear(self, output: Node, at: Node, v: Node, like: Node) -> Node:
        (found,) = replace([output], {at: v})
        return fitted(found, like.tensor)

    # ---- loops

    def run(self, restart: int | None = None) -> list[Node]:
        """The solution, which is one or stops the program, the norm of its residual, and the number of steps."""
        x, r, k, far, allowed, reasons = self._found(restart)
        for reason, holds in [*reasons, ("solved", make("le", (far, allowed)))]:
            x = make("require", (x, holds), because=reason)
        return [x, self._size(r), k]

    def attempt(self) -> tuple[Node, Node]:
        """What is found, and how far it is from a solution: the residual as a part of what is allowed."""
        x, _, _, far, allowed, reasons = self._found()
        part = make("div", (far, make("maximum", (allowed, literal(1e-300)))))
        for _, holds in reasons:
            part = make("select", (holds, part, literal(inf)))
        return x, part

    def _found(self, restart: int | None = None) -> tuple[Node, Node, Node, Node, Node, list[tuple[str, Node]]]:
        """What is found, its residual, the number of steps, how far it is from a solution and may be, and what else
        must hold."""
        self.basis = min(restart or BASIS, self.steps) if isinstance(self.steps, int) else BASIS
        self._measure()
        inner: dict[str, Callable[..., tuple[Node, Node, Node]]] = {
            "cg": self._cg,
            "minres": self._minres,
            "gmres": self._gmres,
            "bicgstab": self._bicgstab,
            "lsqr": self._lsqr,
            "refinement": self._refined,
        }
        method = inner[self.method]

        def round_(state: State) -> State:
            x, r, z, k, fine = state
            x, k, fine = method(x, r, z, k, fine, self._allowed(x, r))
            r = self._left(x)
            return x, r, first(r), k, fine

        def until(state: State) -> Node:
            x, r, z, k, fine = state
            return self._ended(self._far(r, z), self._allowed(x, r), k, fine)

        # a preconditioner that is made by a factorization is used before the loops, so that it is made there
        first = self.times_back if self.method == "lsqr" else lambda r: r
        first = self.preconditioned if self.method in DEFINITE else first
        r = self.right if self.is_zero else self._left(self.x)
        begin = (self.x, r, first(r), literal(0), self.tries or literal(True))
        rounds = divide(self.steps, self.basis) + ROUNDS if self.method == "gmres" else ROUNDS
        rounds = rounds if self.tries is None else FEW
        x, r, z, k, fine = self._loop(begin, round_, until, rounds, is_inner=False)
        reasons = [("definite", fine)] if self.method in DEFINITE else []
        allowed = replace([self._allowed(x, r)], self.outside)[0]
        far = replace([self._far(r, z)], self.outside)[0]
        least = (1e-150 if self.unit < 1e-10 else 1e-18) / (self.tolerance or self.unit)
        for b in [self.right] if self.method != "lsqr" else [self.right, self.times_back(self.right)]:
            reasons += [("measured", said("is_measured", b, self._size(b), literal(least))[0])]
        return x, r, k, far, allowed, reasons

    def _loop(
        self,
        begin: State,
        step: Callable[[State], State],
        until: Callable[[State], Node],
        count: DimLike,
        is_inner: bool = True,
    ) -> list[Node]:
        state = [self.fresh("s", b.tensor) for b in begin]
        captured = list(self.outside)
        inputs = (*state, *captured)
        outputs = [n if n.type is s.type else fitted(n, s.tensor) for n, s in zip(step(state), state, strict=True)]
        body = declared(Program(f"{self.method}_step", inputs, outputs, facts=self.program.facts))
        stop = Program("until", inputs, [until(state)])
        args = (*begin, *(captured if is_inner else self.outside.values()))
        return items(make(REPEAT, args, body=body, until=stop, state=len(state), count=count))

    def _left(self, x: Node) -> Node:
        return make("sub", (self.right, self.times(x)))

    # ---- when it is solved

    def _measure(self) -> None:
        """Lengths that tolerances are parts of: of the right side and, as far as it is needed, of the matrix."""
        (self.length,) = self._known("length", [self._size(self.right)])
        if self.tolerance is not None and self.method != "lsqr":
            return
        if self.method == "lsqr":
            _, stretch = self._stretched(self.times_back(self.right))
        else:
            w = self.right
            for _ in range(3 if self.tries is None else 1):  # power iteration
                w, stretch = self._stretched(w)
        (self.stretch,) = self._known("stretch", [stretch])

    def _stretched(self, w: Node) -> list[Node]:
        q = self.times(w)
        return said("stretched", q, self._size(w), self._size(q))

    def _size(self, x: Node) -> Node:
        return said("complex_size_of" if x.tensor.dtype.kind == "c" else "size_of", x)[0]

    def _dotted(self, x: Node, y: Node) -> Node:
        return said("complex_dotted" if x.tensor.dtype.kind == "c" else "dotted", x, y)[0]

    def _known(self, name: str, values: Sequence[Node]) -> list[Node]:
        """Values from before the loops as what the loops capture."""
        found = []
        for value in values:
            inside = self.fresh(name, value.tensor)
            self.outside[inside] = value
            found.append(inside)
        return found

    def _far(self, r: Node, z: Node) -> Node:
        """What has to become small: the residual or, of least squares, the gradient."""
        return self._size(z if self.method == "lsqr" else r)

    def _allowed(self, x: Node, r: Node) -> Node:
        part = self.tolerance or CLOSE * self.unit
        if self.method == "lsqr":
            return self._least_squares(max(part, 8 * CLOSE * self.unit), self._size(r), self.stretch)
        if self.tolerance is None:  # a backward error
            size = make("add", (self.length, make("mul", (self.stretch, self._size(x)))))
        else:
            size = self.length
        return make("mul", (literal(part), size))

    def _least_squares(self, part: float, left: Node, stretch: Node) -> Node:
        """How long the gradient may be, where the residual is that long."""
        return said("lsqr_allowed", literal(part), stretch, left, self.length)[0]

    def _ended(self, length: Node, allowed: Node, k: Node, fine: Node) -> Node:
        return said("ended", length, allowed, k, size(self.steps), fine)[0]

    def _half(self, allowed: Node) -> Node:
        """What the updated residual must fall below, so that the true one is likely to be small, too."""
        return make("mul", (literal(0.9), allowed))

    # ---- methods: x, steps, whether the matrix is as it must be; from x, its residual r, z = P @ r or A' @ r ...

    def _refined(self, x: Node, r: Node, z: Node, k: Node, fine: Node, allowed: Node) -> tuple[Node, Node, Node]:
        """One step. It is a loop, so that algebra cannot cancel what rounding leaves between it and the residual."""

        def step(state: State) -> State:
            x, r, _, k = state
            return make("add", (x, self.preconditioned(r))), r, zeros(state[2].tensor), make("add", (k, literal(1)))

        def until(state: State) -> Node:
            return make("le", (state[2], literal(0.0)))

        x, _, _, k = self._loop((x, r, self._size(r), k), step, until, self.steps)
        return x, k, fine

    def _cg(self, x: Node, r: Node, z: Node, k: Node, fine: Node, allowed: Node) -> tuple[Node, Node, Node]:
        rho, length = self._dotted(r, z), self._size(r)
        definite = make("logical_and", (fine, make("ge", (rho, literal(0.0)))))

        def step(state: State) -> State:
            x, r, p, rho, _, k, _, goal = state
            q = self.times(p)
            x, r, fits = said("cg_move", x, r, p, q, rho, self._dotted(p, q))
            z = self.preconditioned(r)
            next_ = self._dotted(r, z)
            (p,) = said("cg_turn", z, p, rho, next_)
            fine = make("logical_and", (fits, make("ge", (next_, literal(0.0)))))
            return x, r, p, next_, self._size(r), make("add", (k, literal(1))), fine, goal

        def until(state: State) -> Node:
            return self._ended(state[4], state[7], state[5], state[6])

        begin = (x, r, z, rho, length, k, definite, self._half(allowed))
        x, _, _, _, _, k, fine, _ = self._loop(begin, step, until, self.steps)
        return x, k, fine

    def _minres(self, x: Node, r: Node, z: Node, k: Node, fine: Node, allowed: Node) -> tuple[Node, Node, Node]:
        square = self._dotted(r, z)
        definite = make("logical_and", (fine, make("ge", (square, literal(0.0)))))
        beta = _root(square)
        length = self._size(r)
        goal = make("mul", (beta, make("div", (self._half(allowed), length))))
        nothing, zero, one = zeros(x.tensor), make("mul", (beta, literal(0.0))), _one(beta)

        def step(state: State) -> State:
            x, y, r1, r2, w, w2, beta, old, cs, sn, dbar, epsilon, phibar, k, fine, goal = state
            (v,) = said("minres_vector", y, beta)
            after, alpha = said("minres_lanczos", v, self.times(v), r1, r2, beta, old)
            y = self.preconditioned(after)
            square = self._dotted(after, y)
            fine = make("logical_and", (fine, make("ge", (square, literal(0.0)))))
            following = _root(square)
            turned = said("minres_rotate", cs, sn, dbar, epsilon, phibar, alpha, following)
            cs, sn, dbar, next_epsilon, phibar, phi, delta, gamma = turned
            x, next_ = said("minres_move", x, v, w, w2, epsilon, delta, gamma, phi)
            k = make("add", (k, literal(1)))
            return x, y, r2, after, next_, w, following, beta, cs, sn, dbar, next_epsilon, phibar, k, fine, goal

        def until(state: State) -> Node:
            return self._ended(state[12], state[15], state[13], state[14])

        minus = make("neg", (one,))
        begin = (x, z, nothing, r, nothing, nothing, beta, one, minus, zero, zero, zero, beta, k, definite, goal)
        found = self._loop(begin, step, until, self.steps)
        return found[0], found[13], found[14]

    def _gmres(self, x: Node, r: Node, z: Node, k: Node, fine: Node, allowed: Node) -> tuple[Node, Node, Node]:
        flat = make("reshape", (r,), dims=(r.tensor.size,))
        dtype, (n,) = flat.tensor.dtype, flat.tensor.dims
        empty = zeros(TensorType(dtype, (self.basis + 1, self.basis)))

        def step(state: State) -> State:
            V, H, m, _, j, k, goal = state
            row = make(SUBSCRIPT, (V, j), items=(At(None), Range(0, n, 1)))
            q = self.times(self.preconditioned(make("reshape", (row,), dims=self.x.tensor.dims)))
            made = KRYLOV.called("gmres_step", [V, H, m, make("reshape", (q,), dims=(n,)), j])
            return *made, *(make("add", (count, literal(1))) for count in (j, k)), goal

        def until(state: State) -> Node:
            return self._ended(state[3], state[6], state[5], literal(True))

        first, m = KRYLOV.called("gmres_start", [flat, empty])
        begin = (first, empty, cast(m, dtype), self._size(r), literal(0), k, self._half(allowed))
        V, H, _, _, _, k, _ = self._loop(begin, step, until, self.basis)
        (change,) = KRYLOV.called("gmres_end", [zeros(flat.tensor), V, H, flat])
        change = self.preconditioned(make("reshape", (change,), dims=self.x.tensor.dims))
        return make("add", (x, change)), k, fine

    def _bicgstab(self, x: Node, r: Node, z: Node, k: Node, fine: Node, allowed: Node) -> tuple[Node, Node, Node]:
        shadow = r
        rho = self._dotted(r, r)
        length = self._size(r)

        def step(state: State) -> State:
            x, r, p, shadow, rho, _, k, _, goal = state
            ph = self.preconditioned(p)
            v = self.times(ph)
            s, a = said("bicgstab_half", r, shadow, v, rho)
            sh = self.preconditioned(s)
            x, r, w = said("bicgstab_move", x, ph, sh, s, self.times(sh), a)
            p, rho, lives = said("bicgstab_turn", r, shadow, p, v, rho, a, w)
            return x, r, p, shadow, rho, self._size(r), make("add", (k, literal(1))), lives, goal

        def until(state: State) -> Node:
            return self._ended(state[5], state[8], state[6], state[7])

        begin = (x, r, r, shadow, rho, length, k, literal(True), self._half(allowed))
        found = self._loop(begin, step, until, self.steps)
        return found[0], found[6], fine

    def _lsqr(self, x: Node, r: Node, z: Node, k: Node, fine: Node, allowed: Node) -> tuple[Node, Node, Node]:
        nothing = zeros(x.tensor)
        beta = self._size(r)
        (u,) = said("minres_vector", r, beta)
        (back,) = said("minres_vector", self.preconditioned_back(z), beta)
        v, alpha = said("lsqr_right", back, nothing, _one(beta))
        normal = make("mul", (alpha, beta))
        stretch = make("mul", (self.stretch, make("div", (normal, self._size(z)))))  # in lengths of P' @ A' @ r

        def step(state: State) -> State:
            d, u, v, w, alpha, rhobar, phibar, _, k, stretch = state
            u, beta = said("lsqr_left", self.times(self.preconditioned(v)), u, alpha)
            back = self.preconditioned_back(self.times_back(u))
            v, alpha = said("lsqr_right", back, v, beta)
            d, w, rhobar, phibar, normal = said("lsqr_move", d, w, v, alpha, beta, rhobar, phibar)
            return d, u, v, w, alpha, rhobar, phibar, normal, make("add", (k, literal(1))), stretch

        def until(state: State) -> Node:
            goal = self._least_squares(self.tolerance or CLOSE * self.unit, state[6], state[9])
            return self._ended(state[7], self._half(goal), state[8], literal(True))

        begin = (nothing, u, v, v, alpha, alpha, beta, normal, k, stretch)
        found = self._loop(begin, step, until, self.steps)
        return make("add", (x, self.preconditioned(found[0]))), found[8], fine


def said(name: str, *operands: Node) -> list[Node]:
    """The results of a function of `methods.tp`."""
    return _METHODS.called(name, operands)


def _root(square: Node) -> Node:
    return make("sqrt", (make("maximum", (square, literal(0.0))),))


def _one(like: Node) -> Node:
    return make("add", (make("mul", (like, literal(0.0))), literal(1.0)))
