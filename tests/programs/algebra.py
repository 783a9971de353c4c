"""Random programs of linear algebra with facts: what a search over equal forms has most to find in.

Matrices are invertible where they have to be, by their declared facts or by how they are made, so that any operands
with the facts give a value that is not near to having none.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

SQUARE = (
    "", "", "", " is spd", " is spd", " is psd", " is symmetric", " is skew", " is nonsingular", " is low_rank(1)",
    " is symmetric and nonsingular", " is lower", " is lower and nonsingular", " is upper and nonsingular",
    " is unit_diagonal and lower", " is diagonal", " is diagonal and nonsingular", " is diagonal and nonnegative",
    " is orthogonal", " is permutation", " is toeplitz", " is circulant", " is banded(1, 1)",
    " is spd and banded(1, 1)",
)  # fmt: skip
INVERTIBLE = ("spd", "nonsingular", "orthogonal", "permutation", "unit_diagonal")
TALL = ("", "", " is full_rank", " is nonnegative")


def algebra(seed: int, depth: int = 4) -> str:
    """The text of a program with the function `main`."""
    return _Writer(random.Random(seed), depth).program()


class _Writer:
    def __init__(self, rng: random.Random, depth: int) -> None:
        self.rng, self.depth = rng, depth
        self.sizes = ["n", "m", "k"][: 1 + rng.randrange(3)]
        self.inputs: dict[str, str] = {}  # name: type with facts
        self.named: dict[str, list[str]] = {}  # names by shape
        self.lines: list[str] = []
        self.dtype = "f64" if rng.random() < 0.85 else "f32"

    # ---- pieces

    def pick(self, options: Sequence[str]) -> str:
        return self.rng.choice(options)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def form(self, *forms: Callable[[], str]) -> str:
        return self.rng.choice(forms)()

    def leaf(self, shape: str, facts: str = "") -> str:
        """An input, one that is there or a further one."""
        same = [n for n, t in self.inputs.items() if t.startswith(f"{self.dtype}[{shape}]{facts}") or t == shape]
        if same and self.chance(0.6):
            return self.pick(same)
        name = ("ABCDEFGHJKLMPQRSTUVWXYZ" if ", " in shape else "abcdefghpqrstuvwxyz")[len(self.inputs) % 18]
        name += "" if name not in self.inputs else str(len(self.inputs))
        self.inputs[name] = f"{self.dtype}[{shape}]{facts}" if shape else f"{self.dtype}{facts}"
        return name

    def known(self, shape: str) -> str | None:
        return self.pick(self.named[shape]) if self.named.get(shape) and self.chance(0.35) else None

    def number(self) -> str:
        return self.pick(("2", "0.5", "3", "-1", "0.25", "1.5"))

    # ---- by shape

    def scalar(self, depth: int) -> str:
        n, m = self.pick(self.sizes), self.pick(self.sizes)
        if depth <= 0:
            return self.form(lambda: self.leaf("", self.pick(("", " is positive"))), self.number)
        d = depth - 1
        return self.form(
            lambda: f"({self.vector(n, d)} @ {self.vector(n, d)})",
            lambda: f"({self.vector(n, d)} @ {self.matrix(n, m, d)} @ {self.vector(m, d)})",
            lambda: f"trace({self.matrix(n, n, d)})",
            lambda: f"trace({self.matrix(n, m, d)} @ {self.matrix(m, n, d)})",
            lambda: f"sum({self.matrix(n, m, d)} * {self.matrix(n, m, d)})",
            lambda: f"logdet({self.definite(n, d)})",
            lambda: f"det({self.definite(n, d)})",
            lambda: f"norm({self.vector(n, d)})",
            lambda: f"sum({self.vector(n, d)})",
            lambda: f"mean({self.matrix(n, m, d)})",
            lambda: f"({self.scalar(d)} + {self.scalar(d)})",
            lambda: f"({self.scalar(d)} * {self.scalar(d)})",
            lambda: f"({self.vector(n, d)} @ inv({self.definite(n, d)}) @ {self.vector(n, d)})",
            lambda: f"trace(inv({self.definite(n, d)}) @ {self.matrix(n, n, d)})",
            lambda: f"log(1 + square({self.scalar(d)}))",
        )

    def vector(self, n: str, depth: int) -> str:
        found = self.known(n)
        if found:
            return found
        if depth <= 0:
            return self.leaf(n, self.pick(("", "", " is positive")))
        d, m = depth - 1, self.pick(self.sizes)
        return self.form(
            lambda: f"({self.matrix(n, m, d)} @ {self.vector(m, d)})",
            lambda: f"({self.matrix(n, m, d)} @ {self.vector(m, d)})",
            lambda: f"({self.matrix(m, n, d)}' @ {self.vector(m, d)})",
            lambda: f"({self.vector(n, d)} {self.pick('+-*')} {self.vector(n, d)})",
            lambda: f"({self.scalar(d)} * {self.vector(n, d)})",
            lambda: f"({self.invertible(n, d)} \\ {self.vector(n, d)})",
            lambda: f"(inv({self.invertible(n, d)}) @ {self.vector(n, d)})",
            lambda: f"diag({self.matrix(n, n, d)})",
            lambda: f"sum({self.matrix(n, m, d)}, axis=1)",
            lambda: f"sum({self.matrix(m, n, d)}, axis=0)",
            lambda: f"{self.pick(('tanh', 'exp', 'sigmoid', 'relu', 'abs'))}(0.1 * {self.vector(n, d)})",
            lambda: f"softmax({self.vector(n, d)})",
            lambda: f"diag({self.matrix(n, m, d)} @ {self.matrix(m, n, d)})",
            lambda: f"({self.vector(n, d)} / (1 + square({self.vector(n, d)})))",
        )

    def matrix(self, n: str, m: str, depth: int) -> str:
        found = self.known(f"{n}, {m}")
        if found:
            return found
        if depth <= 0:
            return self.leaf(f"{n}, {m}", self.facts(n, m))
        d, k = depth - 1, self.pick(self.sizes)
        forms = [
            lambda: f"({self.matrix(n, k, d)} @ {self.matrix(k, m, d)})",
            lambda: f"({self.matrix(n, k, d)} @ {self.matrix(k, m, d)})",
            lambda: f"({self.matrix(n, m, d)} {self.pick('+-')} {self.matrix(n, m, d)})",
            lambda: f"({self.number()} * {self.matrix(n, m, d)})",
            lambda: f"({self.scalar(d)} * {self.matrix(n, m, d)})",
            lambda: f"{self.matrix(m, n, d)}'",
            lambda: f"outer({self.vector(n, d)}, {self.vector(m, d)})",
            lambda: f"({self.matrix(n, m, d)} * {self.matrix(n, m, d)})",
            lambda: f"(inv({self.invertible(n, d)}) @ {self.matrix(n, m, d)})",
            lambda: f"({self.matrix(n, m, d)} @ inv({self.invertible(m, d)}))",
            lambda: f"({self.invertible(n, d)} \\ {self.matrix(n, m, d)})",
            lambda: f"(diag({self.vector(n, d)}) @ {self.matrix(n, m, d)})",
            lambda: f"({self.matrix(n, m, d)} @ diag({self.vector(m, d)}))",
            lambda: self.kronecker(n, m, d),
            lambda: f"({self.matrix(n, m, d)} * {self.vector(m, d)})",
            lambda: f"tanh({self.matrix(n, m, d)})",
            lambda: f"softmax({self.matrix(n, m, d)})",
        ]
        if n == m:
            forms += [
                lambda: f"inv({self.invertible(n, d)})",
                lambda: f"({self.matrix(n, n, d)} + {self.number()} * eye({n}))",
                lambda: f"({self.matrix(n, k, d)} @ {self.definite(k, d)} @ {self.matrix(k, n, d)})",
                lambda: f"diag({self.vector(n, d)})",
                lambda: f"({self.matrix(n, n, d)} + {self.matrix(n, n, d)}')",
                lambda: self.definite(n, d),
                lambda: f"cholesky({self.definite(n, d)})",
                lambda: f"matpow({self.matrix(n, n, d)}, 2)",
                lambda: f"tril({self.matrix(n, n, d)})",
            ]
        return self.rng.choice(forms)()

    def kronecker(self, n: str, m: str, depth: int) -> str:
        left, right = self.matrix(n, n, depth), self.matrix(m, m, depth)
        return f"unvec(kron({left}, {right}) @ vec({self.matrix(n, m, depth)}), {n}, {m})"

    def facts(self, n: str, m: str) -> str:
        return self.pick(SQUARE if n == m else TALL)

    def definite(self, n: str, depth: int) -> str:
        """A symmetric positive definite matrix."""
        if depth <= 0 or self.chance(0.3):
            return self.leaf(f"{n}, {n}", " is spd")
        d, k = depth - 1, self.pick(self.sizes)
        gram = self.matrix(n, k, d)
        flip = f"{gram}'"
        return self.form(
            lambda: f"({gram} @ {flip} + eye({n}))",
            lambda: f"({self.definite(n, d)} + {self.definite(n, d)})",
            lambda: f"({self.pick(('2', '0.5'))} * {self.definite(n, d)})",
            lambda: f"({self.definite(n, d)} + {gram} @ {flip})",
            lambda: f"({self.definite(n, d)} + {gram} @ {self.definite(k, d)} @ {flip})",
            lambda: f"inv({self.definite(n, d)})",
            lambda: f"(diag(square({self.vector(n, d)})) + eye({n}))",
            lambda: f"({self.definite(n, d)} + {self.leaf('', ' is positive')} * eye({n}))",
        )

    def invertible(self, n: str, depth: int) -> str:
        if depth <= 0:
            facts = self.pick([f for f in SQUARE if any(word in f for word in INVERTIBLE)])
            return self.leaf(f"{n}, {n}", facts)
        d = depth - 1
        return self.form(
            lambda: self.definite(n, d),
            lambda: self.definite(n, d),
            lambda: self.invertible(n, 0),
            lambda: f"({self.invertible(n, d)} @ {self.invertible(n, d)})",
            lambda: f"{self.invertible(n, d)}'",
            lambda: f"(2 * {self.invertible(n, d)})",
            lambda: f"inv({self.invertible(n, d)})",
        )

    # ---- statements

    def program(self) -> str:
        for number in range(self.rng.randrange(4)):
            self.statement(f"v{number}")
        n, m = self.pick(self.sizes), self.pick(self.sizes)
        forms = (
            lambda: self.scalar(self.depth),
            lambda: self.vector(n, self.depth),
            lambda: self.matrix(n, m, self.depth),
        )
        results = [self.form(*forms) for _ in range(1 + self.chance(0.25))]
        for size in self.sizes:  # each is the extent of some input
            if not any(size in t.partition("[")[2].partition("]")[0].split(", ") for t in self.inputs.values()):
                self.leaf(size)
        parameters = ", ".join(f"{name}: {type}" for name, type in self.inputs.items())
        lines = "".join(f"    {line}\n" for line in [*self.lines, f"return {', '.join(results)}"])
        return f"def main({parameters}):\n{lines}"

    def statement(self, name: str) -> None:
        n, m = self.pick(self.sizes), self.pick(self.sizes)
        kind = self.rng.randrange(8)
        if kind < 5:
            shape, text = (f"{n}, {m}", self.matrix(n, m, 2)) if kind < 3 else (n, self.vector(n, 2))
            self.lines.append(f"{name} = {text}")
        elif kind == 5:
            shape = n
            self.lines += [f"{name} = {self.vector(n, 1)}", "repeat 3:"]
            start = len(self.lines)
            step = f"{name} = tanh({self.matrix(n, n, 1)} @ {name} + {self.vector(n, 1)})"
            self.lines[start:] = [f"    {step}"]
        elif kind == 6:
            shape = f"{n}, {m}"
            left, right = self.leaf(f"{n}, {n}"), self.leaf(f"{n}, {m}")
            self.lines.append(f"{name}[i, j] = sum[l]({left}[i, l] * {right}[l, j]) + {right}[i, j]")
        else:
            shape = f"{n}, {m}"
            column = self.leaf(n)
            self.lines.append(f"{name}[i, j] = {self.leaf(shape)}[i, j] * {column}[i]")
        self.named.setdefault(shape, []).append(name)
