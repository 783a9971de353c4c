"""Training steps as programs: a deep network of dense layers, and one of transformer blocks."""

from __future__ import annotations


def layers(count: int, rows: int, width: int) -> str:
    """The gradient of a network of dense layers by all of its weights."""
    weights = [f"W{k}" for k in range(count)]
    given = ", ".join([f"x: f32[{rows}, {width}]", *(f"{w}: f32[{width}, {width}]" for w in weights)])
    lines = [f"    h{k + 1} = tanh({f'h{k}' if k else 'x'} @ {w})" for k, w in enumerate(weights)]
    return _step(given, weights, lines, f"h{count}")


def transformer(count: int, tokens: int, width: int) -> str:
    """The gradient of transformer blocks with one head by all of their weights."""
    shapes = {"Q": (1, 1), "K": (1, 1), "V": (1, 1), "O": (1, 1), "A": (1, 4), "B": (4, 1)}
    weights = [f"{letter}{k}" for k in range(count) for letter in shapes]
    sizes = {w: f"{shapes[w[0]][0] * width}, {shapes[w[0]][1] * width}" for w in weights}
    given = ", ".join([f"x: f32[{tokens}, {width}]", *(f"{w}: f32[{sizes[w]}]" for w in weights)])
    lines = ["    h0 = x"]
    for k in range(count):
        lines += [
            f"    n{k} = layernorm(h{k})",
            f"    s{k} = softmax((n{k} @ Q{k}) @ (n{k} @ K{k})' / {width**0.5})",
            f"    m{k} = h{k} + s{k} @ (n{k} @ V{k}) @ O{k}",
            f"    h{k + 1} = m{k} + tanh(layernorm(m{k}) @ A{k}) @ B{k}",
        ]
    return _step(given, weights, lines, f"h{count}")


def _step(given: str, weights: list[str], lines: list[str], result: str) -> str:
    listed = ", ".join(weights)
    body = "\n".join(lines)
    return (
        f"def loss({given}) -> f32:\n{body}\n    return mean(square({result}))\n\n"
        f"def main({given}) = grad(loss, {listed})(x, {listed})\n"
    )
