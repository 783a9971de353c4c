"""Systems that are solved step by step because that is cheaper, without being asked for.

    (kron(A, I) + kron(I, B) + D) \\ b     CG or MINRES, preconditioned by the eigenvectors of A and B
    (kron(A, B) + D) \\ b                  the same
    (kron(A, B) + kron(C, D) + ...) \\ b   CG
    T \\ b for a Toeplitz matrix T         CG by Fourier transforms, preconditioned by a circulant matrix
    S \\ b for a sparse S                  CG, preconditioned by the diagonal
    (L @ L' + U @ U') \\ b for a triangle L  refinement of what Woodbury's formula says
    lstsq(A, b) for a tall A              LSQR (see `tall`)

A matrix must be known to be symmetric, and must not be needed for anything but solutions. When the program runs, bounds
of its eigenvalues are computed: these prove that it is nonsingular, and say how many steps are enough. If so many
cost less than a factorization is predicted to cost, they are made, until the residual is of the size of rounding.
Otherwise, and if it does not become so small, the factorization is made, which stands beside it in a branch.
A Toeplitz matrix that is known to be definite needs no proof: a part of what a factorization costs is spent on steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from tpc.ir.build import cast, input_node, literal, make, size
from tpc.ir.dims import DimLike, divide, evaluate, names_of
from tpc.ir.facts import analyse
from tpc.ir.node import Fact, Node, Program, topological
from tpc.ir.notes import follow
from tpc.ir.ops.structure import IF, INPUT, REPEAT, SCAN
from tpc.ir.rewrite import map_blocks, ordered_facts, rewrite, values, with_values
from tpc.ir.rewrite import replace as replaced
from tpc.ir.types import F32, F64, TensorType
from tpc.passes.branch import branch
from tpc.passes.choose.prices import Prices, Sizes
from tpc.passes.count import node_flops
from tpc.passes.guard import SOLVED
from tpc.passes.solvers.bounds import Spectrum
from tpc.passes.solvers.operator import is_open, leaves, product, scaled
from tpc.passes.solvers.rounds import Rounds
from tpc.passes.solvers.system import Facts, opened
from tpc.passes.solvers.tall import STEPS, by_steps, is_tall
from tpc.passes.solvers.ways import Way, way
from tpc.passes.stages.times import seconds_each

if TYPE_CHECKING:
    from tpc.passes.pipeline import Options

SMALLEST = 256  # rows, where a factorization is so fast that bounds are not worth their time
FEWEST = 4  # steps
LARGE, FEW_COLUMNS = 2000, 8  # sizes that prices are compared at where they are open
CLEARLY = 1.5  # how many times faster the steps must be
LARGEST = 2**31  # bytes of a matrix that is made if there is no other way
UNPROVED = 4  # times less is spent on steps that may not be enough
MANY = 20  # steps, which are enough where few are expected
VECTORS = {
    "cg": (8, 3),
    "minres": (16, 2),
    "refinement": (2, 1),
}  # passes over vectors beside the products, and inner products
METHODS = {"cg": "conjugate gradients", "minres": "MINRES", "refinement": "refinement"}


@dataclass(frozen=True)
class Taken:
    """A matrix whose systems are solved by steps.

    Attributes
    ----------
    node
        The first solution.
    precond
        What preconditions them, in words.
    steps
        How many are made at most.
    direct
        Whether there is a direct way behind them.
    method
        Whose steps they are.
    """

    node: Node
    precond: str
    steps: DimLike
    direct: bool
    method: str


@dataclass(frozen=True)
class Iterated:
    """The program with steps in the place of factorizations, and where."""

    program: Program
    taken: tuple[Taken, ...]


def iterated(
    program: Program,
    options: Options,
    prices: Prices,
    given: Mapping[Node, frozenset[Fact]] | None = None,
    steady: Collection[Node] = (),
) -> Program | Iterated:
    """The program with the systems solved by steps for which that is predicted to be cheaper.

    Parameters
    ----------
    given
        Facts of inputs beyond those that the program declares.
    steady
        Inputs that are the same in every pass of a loop: a matrix made of these alone is factored once for all passes.
    """
    written, (program, taken) = program, _with_bodies(program, options, prices, given)
    tall = [node for node in program.nodes if is_tall(node, prices)]
    if not tall and not any(_may_be(node) for node in program.nodes if is_open(node) or node in program.inputs):
        return Iterated(program, tuple(taken)) if taken else written
    found_inside = program
    program = _respelled(program, analyse(program, given))
    known = analyse(program, given)
    stored = {node for node in program.inputs if node["name"] in options.sparse}
    made: dict[Node, Node] = {}
    for matrix, solutions in _groups(program):
        found = way(matrix, Spectrum(known, stored))
        if found is None or (steady and _inputs(matrix) <= set(steady)):
            continue
        if matrix in _stated(program) and not found.is_likely:
            continue
        solved = _Systems(matrix, solutions, found, known, stored).solved(options, prices)
        if solved is None:
            continue
        results, steps, has_direct = solved
        for old, new in zip(solutions, results, strict=True):
            follow(old, new)
        made |= zip(solutions, results)
        taken.append(Taken(solutions[0], found.words, steps, has_direct, METHODS[found.method]))
    for node in tall if not options.sparse else ():
        made[node] = by_steps(node)
        follow(node, made[node])
        taken.append(Taken(node, "the eigenvectors of A' @ A", STEPS, True, "LSQR"))
    if not made:
        return Iterated(found_inside, tuple(taken)) if taken else written
    settled: dict[Node, Node] = {}
    for node in program.nodes:  # a right side may be made of solutions with other matrices
        if node in made:
            (settled[node],) = replaced([made[node]], settled)
    return Iterated(_with_results(program, replaced(program.outputs, settled)), tuple(taken))


def _with_bodies(
    program: Program, options: Options, prices: Prices, given: Mapping[Node, frozenset[Fact]] | None
) -> tuple[Program, list[Taken]]:
    """The program with the same done in its loops and branches, and where."""
    taken: list[Taken] = []
    if not any(node.programs for node in program.nodes):
        return program, taken
    known, own = analyse(program, given), replace(options, sparse={})

    def inside(node: Node) -> Node:
        if node.op not in (REPEAT, SCAN, IF) or (node.op is IF and node.args[0].op.name == SOLVED):
            return node
        first, start = (node.get("state", 0) + (node.op is op) for op in (SCAN, IF))

        def change(body: Program) -> Program:
            captured = dict(zip(body.inputs[first:], node.args[start:], strict=False))
            facts = {inner: known[outer] for inner, outer in captured.items() if outer in known}
            found = iterated(body, own, prices, facts, () if node.op is IF else captured)
            if isinstance(found, Program):
                return body
            taken.extend(found.taken)
            return found.program

        return map_blocks(node, change)

    outputs = rewrite(program.outputs, inside)
    return (_with_results(program, outputs) if taken else program), taken


def _with_results(program: Program, outputs: Sequence[Node]) -> Program:
    """The program with other nodes for its results; of facts, those of its inputs are kept."""
    facts = [(n, f) for n, f in program.facts if n in program.inputs]
    return program.replace(outputs=outputs, facts=ordered_facts(program.inputs, outputs, facts))


def _inputs(node: Node) -> set[Node]:
    return {part for part in topological([node]) if part.op is INPUT}


def _respelled(program: Program, known: Facts) -> Program:
    """The program without transposes of large symmetric matrices and of their inverses, with inverses applied to the
    vectors of outer products, and with multiples of matrices that show what they are."""

    def is_symmetric(node: Node) -> bool:
        matrix = node.args[0] if node.op.name == "inv" else node
        return _may_be(matrix) and any(fact.name == "symmetric" for fact in known.get(matrix, ()))

    def change(node: Node) -> Node:
        if node.op.name == "transpose" and is_symmetric(node.args[0]):
            return node.args[0]
        if node.op.name == "cast" and node.tensor.rank == 2 and node.args[0].op.name == "mul":  # such as 0.1 * eye(n)
            parts = scaled(node.args[0])
            if parts is not None and parts[1].tensor.dtype.is_weak:
                return make("mul", (parts[1], cast(parts[0], node.tensor.dtype)))
        if node.op.name != "matmul":
            return node
        left, right = node.args
        if left.op.name == "inv" and right.op.name == "outer":
            return make("outer", (make("matvec", (left, right.args[0])), right.args[1]))
        if right.op.name == "inv" and left.op.name == "outer":
            return make("outer", (left.args[0], make("vecmat", (left.args[1], right))))
        return node

    return with_values(program, rewrite(values(program), change))


def _stated(program: Program) -> set[Node]:
    """The values, other than inputs, that the program says something of, which is lost where they move."""
    return {node for node, _ in program.facts if node not in program.inputs}


def _groups(program: Program) -> Iterator[tuple[Node, list[Node]]]:
    """Matrices that systems are solved with and that nothing else needs, and their solutions."""
    users: dict[Node, list[Node]] = {}
    for node in program.nodes:
        for operand in dict.fromkeys(node.args):
            users.setdefault(operand, []).append(node)
    needed = {*program.outputs, *_stated(program)}
    for matrix, own in users.items():
        if matrix in program.outputs or not _may_be(matrix):
            continue
        solutions: list[Node] = []
        for user in own:
            inverts = user.op.name == "inv" and user not in needed
            solutions += users.get(user, []) if inverts else [user]
        if solutions and all(_solves(s, matrix) for s in solutions):
            yield matrix, solutions


def _may_be(matrix: Node) -> bool:
    if not isinstance(matrix.type, TensorType) or matrix.type.rank != 2:
        return False
    n = matrix.tensor.dims[0]
    is_large = not isinstance(n, int) or n >= SMALLEST
    return is_large and n == matrix.tensor.dims[1] and matrix.tensor.dtype in (F32, F64)


def _solves(node: Node, matrix: Node) -> bool:
    """Whether a value is the solution of a system with a symmetric matrix, which its right side is not made of."""
    left, *right = node.args
    match node.op.name:
        case "solve":
            fits = left is matrix
        case "matvec" | "matmul":
            fits = _inverts(left, matrix)
        case "vecmat":
            left, right = right[0], [left]
            fits = _inverts(left, matrix)
        case _:
            return False
    return fits and node.tensor.rank <= 2 and matrix not in topological(right)


def _inverts(node: Node, matrix: Node) -> bool:
    return node.op.name == "inv" and node.args[0] is matrix


def _right_side(solution: Node) -> Node:
    """What a system is solved for."""
    return solution.args[0 if solution.op.name == "vecmat" else 1]


@dataclass
class _Systems:
    """Systems with one matrix, and the way to solve them by steps."""

    matrix: Node
    solutions: Sequence[Node]
    way: Way
    known: Facts
    stored: Collection[Node]

    def solved(self, options: Options, prices: Prices) -> tuple[list[Node], DimLike, bool] | None:
        """The solutions, how many steps are made for each at most, and whether there is a direct way behind."""
        steps = self._steps(options, prices)
        if steps is None:
            return None
        tries = make("le", (self.way.steps, size(steps)))
        if self.way.is_likely and (not isinstance(steps, int) or steps >= UNPROVED * MANY):
            tries, steps = literal(True), divide(steps, UNPROVED)
        right = [_right_side(s) for s in self.solutions]
        found = {b: self._attempt(b, steps, tries) for b in dict.fromkeys(right)}
        worst: Node | None = None
        for _, part in found.values():
            worst = part if worst is None else make("maximum", (worst, part))
        assert worst is not None
        holds = make(SOLVED, (worst, literal(1.0)))
        n = self.matrix.tensor.dims[0]
        if isinstance(n, int) and n * n * self.matrix.tensor.dtype.size > LARGEST:
            checked = {b: make("require", (x, holds), because="solved") for b, (x, _) in found.items()}
            return [checked[b] for b in right], steps, False
        if self.way.is_likely:  # whatever is said of it elsewhere, it is definite
            factor = make("cholesky", (self.matrix,))
            direct = {b: make("cho_solve", (factor, b)) for b in found}
        else:
            direct = {b: make("solve", (self.matrix, b)) for b in found}
        settled = branch(holds, [x for x, _ in found.values()], list(direct.values()))
        results = dict(zip(found, settled, strict=True))
        return [results[b] for b in right], steps, True

    def _attempt(self, b: Node, steps: DimLike, tries: Node) -> tuple[Node, Node]:
        matrix, x = input_node("A", self.matrix.tensor), input_node("x", b.tensor)
        own = [input_node(f"P{k}", operand.tensor) for k, operand in enumerate(self.way.operands)]
        outputs = self._products(matrix, own, x)
        facts = [(matrix, tuple(self.known.get(self.matrix, ())))]
        program = Program("system", [x, matrix, *own], outputs, facts=facts)
        program, given = opened(program, x, [b, self.matrix, *self.way.operands], self.known, wide=True)
        right = input_node("right", b.tensor)
        program = Program("system", (*program.inputs, right), program.outputs, facts=program.facts)
        rounds = Rounds(program, x, right, self.way.method, None, None, steps, is_zero=True, tries=tries)
        nothing = make("zeros", (), dims=b.tensor.dims, dtype=b.tensor.dtype)
        values = dict(zip(program.inputs, [nothing, *given[1:], b], strict=True))
        found, part = replaced(list(rounds.attempt()), values)
        return found, part

    def _products(self, matrix: Node, operands: Sequence[Node], v: Node) -> list[Node]:
        made = [product(matrix, v)]
        return [*made, self.way.precondition(operands, v)] if self.way.precondition is not None else made

    # ---- prices

    def _steps(self, options: Options, prices: Prices) -> DimLike | None:
        """How many steps cost as much as a factorization, each solution its part of it."""
        at = self._sizes(options)
        options = replace(options, at=at)
        right = [_right_side(s) for s in self.solutions]
        p = input_node("p", right[0].tensor)
        direct = self._plan("direct", self.solutions, right, options)
        step = self._plan("step", self._products(self.matrix, self.way.operands, p), [p], options)
        whole = seconds_each(direct, prices, at, {}) / len(right)
        count, dtype = Sizes(at).product(p.tensor.dims), p.tensor.dtype
        passes, products = VECTORS[self.way.method]
        each = seconds_each(step, prices, at, {})
        each += passes * prices.seconds("elementwise", (count, 2, 1), dtype)
        each += products * prices.seconds("reduce", (count, 1), dtype)
        most = int(whole / (CLEARLY * each))
        if most < FEWEST:
            return None
        if self.stored or not names_of(self.matrix.tensor.dims[0]):  # sparse plans are for certain sizes
            return most
        done, made = (sum((node_flops(node) for node in plan.nodes), 0) for plan in (direct, step))
        known = Sizes(at)
        return divide(done, ceil(known(done) / (most * known(made))) * made)

    def _sizes(self, options: Options) -> dict[str, int]:
        """Sizes at which prices are compared: those that are known, and others with which the matrix is large."""
        known = {**options.at, **options.sizes}
        rows = self.matrix.tensor.dims[0]
        others = set().union(*(names_of(dim) for s in self.solutions for dim in s.tensor.dims))
        found = dict.fromkeys(others - names_of(rows), FEW_COLUMNS) | known
        for wide in (2**k for k in range(1, 12)):
            found |= {name: wide for name in names_of(rows) if name not in known}
            if evaluate(rows, found) >= LARGE:
                break
        return found

    def _plan(self, name: str, outputs: Sequence[Node], more: Sequence[Node], options: Options) -> Program:
        """The plan of values by themselves, given what their matrices are made of."""
        from tpc.passes.pipeline import run

        given = list(dict.fromkeys([*leaves(self.matrix), *self.way.operands, *more]))
        inside = {node: input_node(f"g{k}", node.tensor) for k, node in enumerate(given)}
        facts = [(own, tuple(self.known.get(node, ()))) for node, own in inside.items()]
        sparse = {inside[n]["name"]: options.sparse[n["name"]] for n in given if n in self.stored}
        program = Program(name, list(inside.values()), replaced(outputs, inside), facts=facts)
        own = replace(options, sparse=sparse, memory=None, tolerance=0.0)
        return run(program, own, begin="kronecker", stop_after="optimise").program
