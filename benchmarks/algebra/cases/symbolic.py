"""Chains whose sizes are not known when they are compiled; sizes were drawn from the multiples of 50 up to 1000.

The figure to beat is published for a handful of variants chosen at the call: at most 15 % above the optimum for 95 %
of chains. `python -m benchmarks algebra --random N` draws more of them.
"""

from __future__ import annotations

from benchmarks.algebra.case import Case, Group
from benchmarks.algebra.chain import Factor, chain

F = Factor


def symbolic(name: str, about: str, sizes: str, *factors: Factor) -> Case:
    """A chain with sizes such as `q0=150 q1=300`."""
    drawn = {key: int(value) for key, value in (part.split("=") for part in sizes.split())}
    return chain(f"symbolic/{name}", about, factors, drawn, symbolic=True)


GROUP = Group(
    "symbolic",
    "Generalized matrix chains with symbolic sizes, HPAC/gmc_code_gen",
    (
        symbolic(
            "basic",
            "five general matrices",
            "q0=450 q1=100 q2=900 q3=250 q4=700 q5=50",
            F("A", "q0", "q1"),
            F("B", "q1", "q2"),
            F("C", "q2", "q3"),
            F("D", "q3", "q4"),
            F("E", "q4", "q5"),
        ),
        symbolic(
            "mc7_0",
            "seven general matrices",
            "q0=350 q1=800 q2=150 q3=600 q4=950 q5=200 q6=500 q7=750",
            F("A", "q0", "q1"),
            F("B", "q1", "q2"),
            F("C", "q2", "q3"),
            F("D", "q3", "q4"),
            F("E", "q4", "q5"),
            F("F", "q5", "q6"),
            F("G", "q6", "q7"),
        ),
        symbolic(
            "mc7_2",
            "triangles around an inverse",
            "q0=250 q1=850 q2=550 q6=100 q7=650",
            F("A", "q0", "q1"),
            F("B", "q1", "q2"),
            F("C", "q2", "q2", "upper"),
            F("D", "q2", "q2", inverted=True),
            F("E", "q2", "q2", "lower"),
            F("F", "q2", "q6"),
            F("G", "q6", "q7"),
        ),
        symbolic(
            "mc7_4",
            "symmetric, diagonal and triangular, two inverses",
            "q0=600 q2=300 q3=500 q7=150",
            F("A", "q0", "q0", "symmetric"),
            F("B", "q0", "q2"),
            F("C", "q2", "q3"),
            F("D", "q3", "q3", "symmetric", inverted=True),
            F("E", "q3", "q3", "diagonal"),
            F("F", "q3", "q3", "lower", inverted=True),
            F("G", "q3", "q7"),
        ),
        symbolic(
            "mc7_6",
            "positive definite, symmetric, diagonal and triangular",
            "q0=100 q1=650 q6=400 q7=850",
            F("A", "q0", "q1"),
            F("B", "q1", "q1", "spd", inverted=True),
            F("C", "q1", "q1", "symmetric"),
            F("D", "q1", "q1", "diagonal", inverted=True),
            F("E", "q1", "q1", "lower"),
            F("F", "q1", "q6"),
            F("G", "q6", "q7"),
        ),
        symbolic(
            "mc7_8",
            "diagonal, and two inverses of triangles",
            "q0=750 q1=200 q2=700 q6=300 q7=950",
            F("A", "q0", "q1"),
            F("B", "q1", "q2"),
            F("C", "q2", "q2", "diagonal"),
            F("D", "q2", "q2", "lower", inverted=True),
            F("E", "q2", "q2", "lower", inverted=True),
            F("F", "q2", "q6"),
            F("G", "q6", "q7"),
        ),
        symbolic(
            "mc7_10",
            "triangles alone: kernels decide",
            "q0=500",
            F("A", "q0", "q0", "lower"),
            F("B", "q0", "q0", "lower"),
            F("C", "q0", "q0", "upper"),
            F("D", "q0", "q0", "upper"),
            F("E", "q0", "q0", "lower"),
            F("F", "q0", "q0", "lower"),
            F("G", "q0", "q0", "upper"),
        ),
        symbolic(
            "mc7_12",
            "inverses of a lower and an upper triangle",
            "q0=900 q1=350 q2=550 q4=250 q6=800 q7=50",
            F("A", "q0", "q1"),
            F("B", "q1", "q2"),
            F("L", "q2", "q2", "lower", inverted=True),
            F("D", "q2", "q4"),
            F("U", "q4", "q4", "upper", inverted=True),
            F("E", "q4", "q6"),
            F("F", "q6", "q7"),
        ),
    ),
)
