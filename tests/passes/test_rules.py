"""Every rule is checked by machine, and the machine finds what is wrong with wrong ones."""

from __future__ import annotations

import warnings
from functools import cache
from importlib import resources

import numpy as np
import pytest

from tpc.dsl.diagnostics import Diagnostics
from tpc.dsl.format import format_rule
from tpc.dsl.parser import parse_rules
from tpc.dsl.source import Source
from tpc.dsl.syntax import Call, Rule, RuleFact
from tpc.ir.reference import FLOAT
from tpc.ir.residue import Residue
from tpc.passes.egraph import patterns
from tpc.passes.rules import Law, is_entrywise, kind_of, lines, rules
from tpc.passes.rules.__main__ import main
from tpc.passes.rules.checker import Report, check
from tpc.passes.rules.checker.bulk import bulk_sizes, sweep_many
from tpc.passes.rules.checker.draw import Numbers
from tpc.passes.rules.checker.residues import PRIME, Parted, Residues
from tpc.passes.rules.checker.setting import Setting
from tpc.passes.rules.checker.trial import Trial
from tpc.passes.rules.shapes import infer

FILES = sorted({law.span.source.name for law in rules().values()})
TAGS = {"unstable", "finite", "reading", "safe"}


def read(text: str) -> Law:
    diagnostics = Diagnostics()
    (law,) = parse_rules(Source(text), diagnostics)
    diagnostics.raise_errors()
    return law


@cache
def checked(name: str) -> Report:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SciPy, about singular operands, which are drawn on purpose
        return check(rules()[name])


def report_of(text: str) -> Report:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check(read(text))


# ---- every rule


@pytest.mark.parametrize("name", rules())
def test_a_rule_is_sound_and_needs_its_conditions(name: str) -> None:
    report = checked(name)
    assert not report.problems
    assert not report.needless
    assert report.points >= 120  # a thousand at each of six settings but for functions of matrices
    assert report.settings >= (3 if "xor_circulant" in name else 4)  # few sizes are powers of two
    # what is left of the mutants of a fact are facts: a positive sum stays positive without one of its terms
    least = 10 if isinstance(rules()[name], Rule) else 4
    assert report.refuted >= min(least, 2 * report.mutants // 3), report.survivors


def test_rules_are_spelled_as_they_are_printed() -> None:
    for law in rules().values():
        again = read(format_rule(law))
        assert format_rule(again) == format_rule(law)


def test_files_are_short_and_tags_are_known() -> None:
    for law in rules().values():
        if isinstance(law, Rule):
            assert {tag.name for tag in law.tags} <= TAGS, law.name.name
    for file in FILES:
        lines = resources.files("tpc.passes.rules").joinpath(file).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 120 and lines[0].startswith("# "), file


# ---- notation


def test_letters_tell_the_kind() -> None:
    kinds = {letter: kind_of(letter) for letter in ("A", "x", "a", "n", "i", "pi")}
    assert list(kinds.values()) == ["matrix", "vector", "scalar", "size", "option", None]
    assert is_entrywise(read("rule a: log(exp(x)) => x\n"))
    assert is_entrywise(read("rule a: max(-x, axis=i) => -min(x, axis=i)\n"))
    assert not is_entrywise(read("rule a: norm(x) => sqrt(x @ x)\n"))


def test_sizes_follow_from_the_ops() -> None:
    shapes = infer(read("rule a: inv(D + U @ C @ V) <=> D where nonsingular(D), nonsingular(C)\n"))
    n, k = shapes.variables["D"][0], shapes.variables["C"][0]
    assert shapes.variables == {"D": (n, n), "U": (n, k), "C": (k, k), "V": (k, n)}
    kron = infer(read("rule a: inv(kron(A, B) + s * eye(n)) => C where square(A), square(B)\n"))
    assert kron.sizes["n"] == kron.variables["A"][0] * kron.variables["B"][0]


# ---- what is wrong is found

WRONG = {
    # sides that differ
    "rule a: inv(A @ B) <=> inv(A) @ inv(B) where square(A)": "differ",
    "rule a: det(a * A) => a * det(A)": "differ",
    "rule a: inv(D + U @ V) <=> inv(D) - inv(D) @ U @ inv(eye(k) - V @ inv(D) @ U) @ V @ inv(D)"
    " where nonsingular(D)": "differ",
    "rule a: kron(A, B) @ kron(C, D) => kron(B @ D, A @ C) where cols(A) == rows(C), cols(B) == rows(D)": "",
    "rule a: det(kron(A, B)) => det(A)^rows(A) * det(B)^rows(B) where square(A), square(B)": "differ",
    "rule a: expm(A + B) => expm(A) @ expm(B)": "differ",
    "rule a: exp(x) - 1 => log1p(x)": "differ",
    "rule a: softmax(a * x, axis=i) => softmax(x, axis=i)": "differ",
    "rule a: var(x, axis=i) => mean(x * x, axis=i) - mean(x, axis=i)": "differ",
    # right at some sizes only
    "rule a: trace(A) * B => A @ B where square(A), square(B)": "size",
    "rule a: logdet(eye(n) + A @ B) => logdet(eye(m) + B @ A) + 1": "differ",
    # conditions that are missing
    "rule a: inv(D + U @ C @ V) <=> inv(D) - inv(D) @ U @ inv(inv(C) + V @ inv(D) @ U) @ V @ inv(D)"
    " where square(C)": "no value",
    "rule a: inv(A @ B) <=> inv(B) @ inv(A)": "leave open",
    "rule a: inv(Q) => Q'": "differ",
    "rule a: pinv(A @ B) <=> pinv(B) @ pinv(A) where full_rank(A), rows(A) >= cols(A)": "differ",
    "rule a: logdet(kron(A, B)) => rows(B) * logdet(A) + rows(A) * logdet(B) where det(A) > 0, square(B)": "differ",
    "rule a: log(x * y) <=> log(x) + log(y)": "differ",
    "rule a: cholesky(D @ S @ D) <=> D @ cholesky(S) where diagonal(D), square(D)": "differ",
    "rule a: sqrt(x * x) => x": "differ",
    "rule a: max(a * x, axis=i) => a * max(x, axis=i)": "differ",
    "rule a: sqrtm(S @ S) => S where symmetric(S)": "differ",
    # infinities and NaN
    "rule a: select(x > 0, x, 0) => relu(x)": "nan",
    "rule a: exp(x) / (1 + exp(x)) => sigmoid(x)": "inf",
    # no rule at all
    "rule a: inv(A) => inv(A)": "the same",
    "rule a: inv(A) => inv(A) @ B @ inv(B)": "not bound by the left",
    "rule a: inv(A) @ A @ B <=> B": "not bound by the right",
    "rule a: A => inv(inv(A))": "matches everything",
    "rule a: inv(A) => A' where orthogonal(A), square(B)": "in a condition alone",
    "rule a: inv(inv(A)) => A where rows(A) >= cols(A) + 1": "no operands",
    # dearer
    "rule a: inv(A)' => inv(A') @ A' @ inv(A')": "operations",
    # facts
    "fact a: spd(A' @ A)": "eigenvalue",
    "fact a: orthogonal(A + A')": "length",
    "fact a: nonsingular(A + B) where nonsingular(A), nonsingular(B)": "rank",
    "fact a: nonsingular(S @ T + a * eye(n)) where psd(S), symmetric(T), a > 0": "rank",  # at hardly any point
    "fact a: lower(A @ B) where lower(A), upper(B)": "should be 0",
    "fact a: full_rank(kron(A, B)) where full_rank(A), full_rank(B)": "rank",
    "fact a: nonnegative(x @ S @ x) where symmetric(S)": "is -",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_rule_is_refused(text: str) -> None:
    report = report_of(text + "\n")
    assert not report.sound
    assert WRONG[text] in " ".join(report.problems)


@pytest.mark.parametrize(
    "text, needless",
    [
        ("rule a: inv(A') => inv(A)' where spd(A)", "spd(A)"),
        ("rule a: inv(D + U @ V) <=> inv(D) - inv(D) @ U @ inv(eye(k) + V @ inv(D) @ U) @ V @ inv(D)"
         " where nonsingular(D), nonsingular(D + U @ V)", "nonsingular(D + U @ V)"),
        ("rule a: log(exp(x)) => x where x > 0", "x > 0"),
        ("rule a: trace(A @ B) => trace(B @ A) where rows(A) >= cols(A)", "rows(A) >= cols(A)"),
        ("fact a: psd(A' @ A) where full_rank(A)", "full_rank(A)"),
    ],
)  # fmt: skip
def test_a_needless_condition_is_found(text: str, needless: str) -> None:
    report = report_of(text + "\n")
    assert report.sound and report.needless == [needless]


def test_mutants_that_are_equal_survive() -> None:
    report = report_of("rule a: inv(S) @ S => eye(rows(S)) where symmetric(S), nonsingular(S)\n")
    assert report.refuted >= 10
    assert any("transposed" in survivor for survivor in report.survivors)


def test_reports_repeat() -> None:
    name = "woodbury"
    assert check(rules()[name], seed=3) == check(rules()[name], seed=3)


def test_one_name_is_one_rule() -> None:
    assert all(law.name.name == name for name, law in rules().items())
    assert any(isinstance(law, RuleFact) for law in rules().values())


@pytest.mark.parametrize("name", ["push_through", "square_of_entries"])
def test_the_deep_check_goes_further(name: str) -> None:
    report = check(rules()[name], deep=True)
    assert report.sound and report.settings >= 6 and report.points >= 6000
    assert report.above_degree == (report.domain == "modular")


def test_the_deep_check_refuses_what_fails_above_the_degree() -> None:
    """At sizes of 1 any two factors may change places; the check of large sizes alone finds that they may not."""
    report = Report("a")
    law = read("rule a: inv(A @ B) <=> inv(A) @ inv(B) where square(A), square(B)\n")
    Trial(Setting(law, law.where, 1, -1), 0).large(report)
    assert report.problems and not report.above_degree


# ---- many points at once

WRONG_AT_MANY = [
    "rule a: inv(A @ B) <=> inv(A) @ inv(B) where square(A), square(B)",  # modulo a prime
    "rule a: logdet(kron(A, B)) => logdet(A) + logdet(B) where det(A) > 0, det(B) > 0",  # in floats
    "rule a: exp(x + y) <=> exp(x) + exp(y)",  # in long doubles
    "rule a: matpow(A, a) => A where spd(A)",  # one by one, since exponents have no batch axes
    "fact a: spd(A' @ A)",
    "fact a: positive(x * y) where positive(x)",
]


@pytest.mark.parametrize("text", WRONG_AT_MANY)
def test_what_is_wrong_is_found_at_many_points_alone(text: str) -> None:
    law, report = read(text + "\n"), Report("a")
    sweep_many(Trial(Setting(law, law.where), 0), report, 100)
    assert report.problems


def test_residues_at_many_points_compute_as_single_ones() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, PRIME, (2, 50))
    x, y = Residues(a), Residues(b)
    for value, single in (
        (x + y, lambda u, v: u + v),
        (3 - x * y, lambda u, v: 3 - u * v),
        (x / y, lambda u, v: u / v),
        (1 / x, lambda u, v: 1 / u),
        (x / 7 - Residue(5, PRIME), lambda u, v: u / 7 - 5),
        (-(x**-3), lambda u, v: -(u**-3)),
    ):
        assert all(
            single(Residue(int(u), PRIME), Residue(int(v), PRIME)) == int(w) for u, v, w in zip(a, b, value.values)
        )
    assert x == x and x != y and x * 0 == 0
    with pytest.raises(Parted):
        _ = Residues(np.array([0, 1])) == 0
    with pytest.raises(ZeroDivisionError):
        _ = 1 / Residues(np.array([0, 0]))


@pytest.mark.parametrize("name", ["woodbury", "logdet_of_blocks", "softmax_less_largest", "eigenvalues_of_kron"])
def test_many_points_are_evaluated_as_single_ones(name: str) -> None:
    law = rules()[name]
    trial = Trial(Setting(law, law.where), 0)
    sizes = bulk_sizes(trial)[1]
    point = trial.setting.point(Numbers(0, many=5), sizes, FLOAT, plain=True)
    assert point is not None and point.many
    for side in trial.sides:
        values, sure = side.values(point.arrays, sizes, FLOAT)
        assert sure.any()
        for number in np.flatnonzero(sure):
            alone = side.value(point.part(number).arrays, sizes, FLOAT)
            np.testing.assert_allclose(values[number], alone, rtol=1e-9, atol=1e-9)


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inverse_of_product", "gram"]) == 0
    out = capsys.readouterr().out
    assert "inverse_of_product" in out and "modular" in out and "2 rules and facts, 0 with a problem, 0 shown" in out
    with pytest.raises(SystemExit):
        main(["no_such_rule"])


def test_facts_that_are_passed_over_unread_have_no_op_to_look_for() -> None:
    passed = [line for line in lines().values() if line.is_of_products]
    assert len(passed) > 20
    for line in passed:
        law = line.law
        assert isinstance(law, RuleFact) and isinstance(law.conclusion, Call)
        assert not patterns.has_op(patterns.pattern_of(law.conclusion.arguments[0], is_entrywise(law))), line.name
