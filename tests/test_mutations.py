"""No text makes the front end raise, hang, or point outside of what was read.

`TPC_FUZZ` is the number of mutated programs (1,500 by default).
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tpc.dsl.diagnostics import TpcError
from tpc.dsl.render import render_text
from tpc.dsl.source import Source
from tpc.files import FolderFiles
from tpc.ir.elaborate.module import Checked, check
from tpc.passes.pipeline import Options, run

from .dsl.test_fuzz import mutated
from .programs import generate

COUNT = int(os.environ.get("TPC_FUZZ", "1500"))
FIRST = int(os.environ.get("TPC_SEED", "0"))
SECONDS = 20.0  # of CPU time: what is not bounded takes minutes
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*/*.tp"))


def checked(text: str, seconds: float = SECONDS) -> Checked:
    """Check a text, and what must hold of every answer: it comes in time, and errors have places in the text."""
    began = time.process_time()
    result = check(Source(text))
    took = time.process_time() - began
    assert took < seconds, f"{took:.1f} s for {text[:2000]!r}"
    for found in result.diagnostics.items:
        assert found.code[0] in "EW" and found.title, found
        assert found.labels or found.severity == "warning", found
        for label in found.labels:
            assert 0 <= label.span.start <= label.span.end <= len(label.span.source.text), found
    return result


def shuffled(random: random.Random, text: str) -> str:
    """The words of a line, or of all, in another order."""
    lines = text.split("\n")
    at = random.randrange(len(lines))
    indent = len(lines[at]) - len(lines[at].lstrip())
    words = lines[at].split()
    random.shuffle(words)
    lines[at] = " " * indent + " ".join(words)
    return "\n".join(lines)


def swapped(random: random.Random, text: str) -> str:
    """Two words exchanged: names stay names, so that it is mostly the meaning that breaks."""
    words = text.split(" ")
    for _ in range(random.randint(1, 3)):
        a, b = random.randrange(len(words)), random.randrange(len(words))
        words[a], words[b] = words[b], words[a]
    return " ".join(words)


def renamed(random: random.Random, text: str) -> str:
    """A name, number or sign replaced everywhere or once by another from the same text."""
    words = [w for w in text.replace("(", " ").replace(")", " ").replace(",", " ").split() if len(w) < 12] or ["x"]
    old, new = random.choice(words), random.choice(words)
    return text.replace(old, new, random.choice((1, 1, 2, -1)))


def test_mutated_programs_end_in_messages() -> None:
    chance = random.Random(FIRST)
    examples = [path.read_text() for path in EXAMPLES]
    valid = failed = 0
    for number in range(COUNT):
        text = chance.choice(examples) if number % 8 == 0 else generate(FIRST * 1_000_000 + number).text
        for _ in range(chance.randint(1, 2)):
            change = chance.choice((mutated, mutated, shuffled, swapped, renamed, renamed))
            text = change(chance, text)
        errors = checked(text).diagnostics.errors
        valid, failed = valid + (not errors), failed + bool(errors)
        for error in errors[:3]:
            assert render_text(error)
    assert failed > COUNT // 2 and valid > COUNT // 50, (valid, failed)


def test_the_check_of_answers_can_fail() -> None:
    with pytest.raises(AssertionError):
        checked("def f(x: f64) -> f64:\n    return x\n", seconds=0)


# ---- bombs: texts that ask for more than there is


def _nested(opening: str, inner: str, closing: str, depth: int) -> str:
    return opening * depth + inner + closing * depth


def _blocks(header: str, depth: int) -> str:
    lines = ["    " * (k + 1) + header.replace("%", str(k)) for k in range(depth)]
    return "\n".join(
        ["def f(x: f64[n]) -> f64[n]:", "    y = x", *lines, "    " * (depth + 1) + "y = y + 1", "    return y\n"]
    )


def _one(expression: str, parameters: str = "x: f64") -> str:
    return f"def f({parameters}):\n    return {expression}\n"


def _chain(link: str, length: int) -> str:
    parts = ["def f0(x: f64[n]) -> f64[n]:\n    return x + 1\n"]
    for k in range(1, length):
        parts.append(f"def f{k}(x: f64[n]) -> f64[n]:\n    return {link.replace('g', f'f{k - 1}')}\n")
    return "\n".join(parts)


LETTERS = [f"i{k}" for k in range(60)]
WRONG = {
    "a line of 1 MB": _one("x" + " + x" * 260_000),
    "a comment of 1 MB": "# " + "x" * 1_000_000 + "\ndef f(x):\n",
    "10,000 parentheses": _one(_nested("(", "x", ")", 10_000)),
    "10,000 brackets": _one(_nested("[", "x", "]", 10_000)),
    "10,000 calls": _one(_nested("exp(", "x", ")", 10_000)),
    "10,000 open parentheses": _one("(" * 10_000),
    "a million minus signs": _one("-" * 1_000_000 + "x"),
    "a hundred thousand transposes": _one("x" + "'" * 100_000, "x: f64[n, n]"),
    "an array of 10^24 entries": "def f(a: f64[10^12, 10^12]) -> f64:\n    return sum(a)\n",
    "an array of 2^62 entries": _one("a * ones(k)", "a: f64[4611686018427387904]"),
    "an integer of a million digits": _one("x + " + "9" * 1_000_000),
    "an integer of ten thousand digits": _one("x + " + "9" * 10_000),
    "a size of ten thousand digits": _one("x[0]", f"x: f64[{'9' * 10_000}]"),
    "a float beyond all": _one("x + 1e999999"),
    "recursion": "def f(x: f64) -> f64:\n    return g(x)\n\ndef g(x: f64) -> f64:\n    return f(x)\n",
    "recursion of itself": "def f(x) = f(x)\n\ndef g(x: f64) = f(x)\n",
    "calls 64 deep, the deepest last": "\n".join(reversed(_chain("g(x)", 64).split("\n\n"))),
    "100 loops in each other": _blocks("repeat 2:", 100),
    "100 branches in each other": _blocks("if n > %:", 100),
    "letters 200 deep": _one("sum[i](" + _nested("exp(", "x[i]", ")", 200) + ")", "x: f64[n]"),
    "an array of 60 axes": _one("x", f"x: f64[{', '.join('n' for _ in LETTERS)}]"),
    "bidi characters": _one("x \u202e+ y"),
    "a null": _one("x \x00+ y"),
    "a constant that names itself": "const A: f64 = A + 1\n\ndef f(x: f64) = x * A\n",
    "constants in a circle": "const A: f64 = g(1)\n\ndef g(x: f64) = x * A\n\ndef f(x: f64) = x * A\n",
    "an undefined name of a million letters": _one("y" * 1_000_000),
    "escapes in a name": _one("x + \x1b[31mred\x1b[0m"),
    "an empty text": "",
    "only a parenthesis": "(",
}
RIGHT = {
    "calls 64 deep": _chain("g(x)", 64),
    "a product of 60 letters": f"def f(x: f64[n]):\n    y[{', '.join(LETTERS)}] = "
    + " * ".join(f"x[{a}]" for a in LETTERS)
    + "\n    return y\n",
    "a kron chain": "def f(A: f64[1000, 1000]):\n    "
    + "\n    ".join(f"a{k} = kron({f'a{k - 1}' if k else 'A'}, A)" for k in range(30))
    + "\n    return a29\n",
    "a name of 1,000 letters": f"def f({'y' * 1000}: f64[n]):\n    return {'y' * 1000}\n",
    "values doubled 64 times": "def f(a0: f64) -> f64:\n"
    + "".join(f"    a{k + 1} = a{k} + a{k}\n" for k in range(64))
    + "    return a64\n",
    "sizes doubled 64 times": "def f(x: f64[n]) -> f64:\n"
    + "".join(f"    k{k + 1} = {f'k{k}' if k else 'n'} + {f'k{k}' if k else 'n'}\n" for k in range(64))
    + "    return x[0] * k64\n",
    "calls doubled 50 times": _chain("g(x) + g(x + 1)", 50),
    "a sum of 5,000 terms": "def f(x: f64[n]) -> f64[n]:\n    y0 = x\n"
    + "".join(f"    y{k + 1} = y{k} + " + " + ".join(["x"] * 500) + "\n" for k in range(10))
    + "    return y10\n",
    "nested squares": "def f(x: f64[n, n]) -> f64[n, n]:\n    return " + _nested("(", "x", ")^2", 60) + "\n",
    "powers of sizes": "def f(x: f64[n^16]) -> f64[n^16]:\n    return x * (((n + 1)^16)^2)\n",
    "a polynomial of many sizes": "def f("
    + ", ".join(f"x{k}: f64[n{k}]" for k in range(12))
    + ") -> f64:\n    return x0[0] * ("
    + " * ".join(f"(n{k} + 1)" for k in range(12))
    + ")\n",
    "a thousand functions": "\n".join(f"def f{k}(x: f64[n]) -> f64[n] = x + {k}\n" for k in range(1000)),
    "constants that use each other": "const A: f64 = 2\nconst B: f64 = A + 1\n\ndef f(x: f64) = x * B\n",
    "15 loops in each other": _blocks("repeat 2:", 15),
    "15 branches in each other": _blocks("if n > %:", 15),
    "distribution": "def f(a: f64[n, n], b: f64[n, n]) -> f64[n, n]:\n    c0 = a + b\n"
    + "".join(f"    c{k + 1} = c{k} @ (a + b)\n" for k in range(40))
    + "    return c40\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_bombs_end_in_a_message(name: str) -> None:
    began = time.process_time()
    result = checked(WRONG[name])
    assert result.diagnostics.errors
    texts = [render_text(error) for error in result.diagnostics.errors]
    assert time.process_time() - began < SECONDS
    for text in texts:
        assert len(text) < 10_000
        assert "\x1b" not in text and "\u202e" not in text and "\x00" not in text


@pytest.mark.parametrize("name", RIGHT)
def test_large_but_linear_programs_are_fast(name: str) -> None:
    result = checked(RIGHT[name])
    assert not result.diagnostics.errors, render_text(result.diagnostics.errors[0])
    default = result.default()
    assert default is not None
    began = time.process_time()
    try:
        run(result.programs[default], Options())
    except TpcError as error:
        assert [d.code for d in error.diagnostics] == ["E0907"]
    assert time.process_time() - began < SECONDS


# ---- files


def _written(folder: Path, **texts: str) -> Checked:
    for name, text in texts.items():
        (folder / f"{name}.tp").write_text(text)
    path = folder / "main.tp"
    return check(Source(path.read_text(), str(path)), FolderFiles(folder, (str(path), path)))


MAIN = "def main(x: f64) -> f64:\n    return x\n"


def test_files_that_use_each_other_are_an_error(tmp_path: Path) -> None:
    result = _written(tmp_path, main=f'use "a.tp"\n\n{MAIN}', a='use "b.tp"\n', b='use "main.tp"\n')
    assert [d.code for d in result.diagnostics.errors] == ["E0703"]


def test_a_file_that_uses_itself_is_an_error(tmp_path: Path) -> None:
    result = _written(tmp_path, main=f'use "main.tp"\n\n{MAIN}')
    assert [d.code for d in result.diagnostics.errors] == ["E0703"]


@pytest.mark.parametrize("path", ["../secret.npy", "/etc/passwd", "a/../../secret.npy", "link.npy"])
def test_data_outside_of_the_folder_are_refused(tmp_path: Path, path: str) -> None:
    import numpy as np

    folder = tmp_path / "project"
    (folder / "a").mkdir(parents=True)
    np.save(tmp_path / "secret.npy", np.ones(3))
    (folder / "link.npy").symlink_to(tmp_path / "secret.npy")
    text = f'const W: f64[3] = load("{path}")\n\ndef main(x: f64) -> f64:\n    return x * sum(W)\n'
    result = _written(folder, main=text)
    assert result.diagnostics.errors and result.diagnostics.errors[0].code.startswith("E07")


@pytest.mark.parametrize("depth", [30, 300])
def test_a_long_chain_of_files_is_read_or_refused(tmp_path: Path, depth: int) -> None:
    texts = {f"f{k}": f'use "f{k + 1}.tp"\n' for k in range(depth)} | {f"f{depth}": "def g(x) = x\n"}
    began = time.process_time()
    result = _written(tmp_path, main=f'use "f0.tp"\n\n{MAIN}', **texts)
    assert time.process_time() - began < SECONDS
    assert [d.code for d in result.diagnostics.errors] == ([] if depth == 30 else ["E0904"])
