"""No text makes the parser raise, hang, or point outside of the file."""

import os
import random
import time

from tpc.dsl.diagnostics import Diagnostics, TpcError
from tpc.dsl.parser import parse, parse_expression, parse_fact_lines, parse_op_line, parse_rules
from tpc.dsl.source import Source

COUNT = int(os.environ.get("TPC_FUZZ", "3000"))

PROGRAM = """# gls.tp: generalized least squares
const W: f32[1024, 1024] is spd and const = load("w.npy")
use "other.tp"

def gls(X: f64[n, m], M: f64[n, n] is spd, tol: f64 = 1e-10) -> (f64[m] is nonnegative, [..., 2*n])
    where n > m, m >= 1:
    K[i, j in n] = exp(-sum[k, l in n where k <= i]((X[i, k] - Y[j, k + 1, pad=0])^2) / (2 * s^-2))
    x, r = zeros(n), M \\ b    # state
    repeat 1000 until norm(r) <= tol:
        q: f64[n, k], r: f64[k, m] is upper = qr(A' @ x, mode=1)
        until x ≤ 3 and not y
    scan i in t:
        y = a if b < c else A[1:k, ::2, ..., :]
    if a == 3 or b:
        Ws ~= W within 1e-2 on X
    elif c:
        S = [A, B; C,
             D]ᵀ ⊗ grad(f, g)(x)
    else:
        y = (a, b)
    return inv(X' @ inv(M) @ X), -x^-2 * .5 + 2.j

def f(x) = x
"""
OTHERS = [
    "kron(A[i,j], B[p,q])[(i p),(j q)] = A[i,j] * B[p,q]",
    "diagonal(A), diagonal(B) |- diagonal(this) where square(A); |- spd(this)\nlower(A) |- lower(this)",
    "rule woodbury [unstable]: inv(D + U @ V) <=> inv(D) where nonsingular(D)\nfact gram: psd(A' @ A)\n",
]
PIECES = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    ":",
    "=",
    "==",
    "~=",
    "->",
    "=>",
    "<=>",
    "|-",
    "+",
    "-",
    "*",
    "/",
    "@",
    "\\",
    "^",
    "'",
    '"',
    ".",
    "...",
    "#",
    "\n",
    "\n",
    "",
    "\t",
    "\r\n",
    "**",
    ".T",
    "&&",
    "||",
    "!",
    "%",
    "//",
    ":=",
    "+=",
    "1e999",
    "1,000",
    "0x1",
    "def",
    "const",
    "use",
    "return",
    "repeat",
    "until",
    "scan",
    "in",
    "if",
    "elif",
    "else",
    "where",
    "is",
    "and",
    "or",
    "not",
    "within",
    "on",
    "for",
    "while",
    "lambda",
    "end",
    "x",
    "A",
    "sum",
    "max",
    "²",
    "ᵀ",
    "⊗",
    "≈",
    "×",
    "\u200b",
    "\u202e",
    "\ufeff",
    "é",
    "ﬁ",
    "\x00",
    "�",
    "①",
    "2x",
    "_",
    "$",
    "?",
    "np.dot",
] + [" ", "    ", "        ", "\n", "\n    ", "\t"]


def mutated(random: random.Random, text: str) -> str:
    for _ in range(random.randint(1, 6)):
        at = random.randint(0, len(text))
        to = min(len(text), at + random.randint(0, 12))
        match random.randrange(7):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:at] + random.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + random.choice(PIECES) + text[to:]
            case 3:
                text = text[:at]
            case 4:
                text = text[:at] + text[at:to] * random.randint(2, 30) + text[to:]
            case 5:
                lines = text.split("\n")
                random.shuffle(lines)
                text = "\n".join(lines)
            case 6:
                text = text[:at] + chr(random.choice((random.randrange(128), random.randrange(0x3000)))) + text[at:]
    return text


def noise(random: random.Random) -> str:
    return "".join(random.choice(PIECES) + random.choice(("", " ")) for _ in range(random.randint(1, 80)))


def check(text: str) -> None:
    diagnostics = Diagnostics()
    source = Source(text)
    module = parse(source, diagnostics)
    for found in diagnostics.items:
        assert found.code.startswith("E01") and found.labels
        for label in found.labels:
            assert 0 <= label.span.start <= label.span.end <= len(text)
    for item in module.items:
        assert 0 <= item.span.start <= item.span.end <= len(text)
    starts = [d.labels[0].span.start for d in diagnostics.items[:20]]
    assert starts == sorted(starts)


def test_mutated_programs() -> None:
    seed = random.Random(1)
    for number in range(COUNT):
        text = noise(seed) if number % 10 == 0 else mutated(seed, PROGRAM)
        began = time.process_time()
        check(text)
        assert time.process_time() - began < 2, repr(text)


def test_mutated_formulas() -> None:
    seed = random.Random(2)
    for number in range(COUNT):
        text = mutated(seed, OTHERS[number % 3])
        for read in (parse_expression, parse_op_line, parse_fact_lines):
            try:
                read(text)
            except TpcError as error:
                assert error.diagnostics
        parse_rules(Source(text), Diagnostics())


def test_the_seeds_are_sound() -> None:
    diagnostics = Diagnostics()
    assert len(parse(Source(PROGRAM), diagnostics).items) == 4
    assert not diagnostics.items
    parse_op_line(OTHERS[0])
    assert len(parse_fact_lines(OTHERS[1])) == 3
    assert len(parse_rules(Source(OTHERS[2]), diagnostics)) == 2
    assert not diagnostics.items
