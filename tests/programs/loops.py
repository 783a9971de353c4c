"""Random programs around a loop: matrices and vectors from outside, what passes hand on, loops and branches inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

PARAMETERS = "A: f64[n, n], B: f64[n, n], X: f64[n, n], W: f64[n, n], v: f64[n], u: f64[n], c: f64"
MATRICES = (
    *("(({m} @ {m}) / 4)", "{m}'", "({m} + {m})", "({m} - {m})", "({m} * {m})", "(0.5 * {m})", "tanh({m})", "abs({m})"),
    *("diag({v})", "outer({v}, {v})", "expm(0.1 * tanh({m}))", "inv(tanh({m}) + 9 * eye(n))"),
    "cholesky(tanh({m}) @ tanh({m})' * 0 + 2 * eye(n) + gram(tanh({m})))",
)
VECTORS = (
    *("(({m} @ {v}) / 4)", "(({v} @ {m}) / 4)", "tanh({v})", "({v} + {v})", "({v} * {v})", "diag({m})", "svdvals({m})"),
    *("sum({m}, axis=0)", "((tanh({m}) + 9 * eye(n)) \\ {v})", "(sum({v}) * {v})", "(max({v}) * {v})"),
    "(logdet(gram(tanh({m})) + eye(n)) * {v})",
)


@dataclass
class _Drawn:
    """Expressions over the names that are known at a place."""

    random: Random
    matrices: list[str] = field(default_factory=lambda: ["A", "B", "X"])
    vectors: list[str] = field(default_factory=lambda: ["v", "u"])

    def matrix(self, depth: int) -> str:
        return self._drawn(MATRICES, self.matrices, depth, 0.25)

    def vector(self, depth: int) -> str:
        return self._drawn(VECTORS, self.vectors, depth, 0.2)

    def _drawn(self, forms: tuple[str, ...], names: list[str], depth: int, plain: float) -> str:
        if depth <= 0 or self.random.random() < plain:
            return self.random.choice(names)
        pieces = self.random.choice(forms).split("{")
        text = pieces[0]
        for piece in pieces[1:]:
            text += (self.matrix if piece[0] == "m" else self.vector)(depth - 1) + piece[2:]
        return text

    def also(self, matrices: list[str], vectors: list[str]) -> _Drawn:
        return _Drawn(self.random, self.matrices + matrices, self.vectors + vectors)


def loop(random: Random) -> tuple[str, list[str]]:
    """A function `f`, and the names of its results."""
    outside, chance = _Drawn(random), random.random
    has_vector, has_matrix = chance() < 0.6, chance() < 0.3
    lines = ["    x = v"] * has_vector + ["    S = A"] * has_matrix
    if chance() < 0.4:
        lines.append(f"    P = {outside.matrix(2)}")
        outside = outside.also(["P"], [])
    inside = outside.also(["W", *["S"] * has_matrix], ["W[i]", "W[i]", "X[i]", *["x", "x"] * has_vector])
    lines.append("    scan i in n:")
    if chance() < 0.3:
        lines.append(f"        q = {inside.vector(2)}")
        inside = inside.also([], ["q"])
    if chance() < 0.35:
        inner = inside.also([], ["z", "z"])
        lines += [f"        z = {inside.vector(1)}", f"        repeat {random.choice(['2', '3', 'n'])}:"]
        lines.append(f"            z = tanh({inner.vector(2)})")
        inside = inside.also([], ["z"])
    if chance() < 0.25:
        lines += ["        if c > 0:", f"            w = {inside.vector(2)}"]
        lines += ["        else:", f"            w = {inside.vector(2)}"]
        inside = inside.also([], ["w"])
    lines.append(f"        y[i] = {inside.vector(3)}")
    lines += [f"        x = tanh({inside.vector(2)})"] * has_vector + [
        f"        S = tanh({inside.matrix(2)})"
    ] * has_matrix
    results = ["y", *["x"] * has_vector, *["S"] * has_matrix]
    return f"def gram(G: f64[n, n]) = G @ G'\n\ndef f({PARAMETERS}):\n" + "\n".join(lines) + "\n", results
