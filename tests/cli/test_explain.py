"""`tpc explain` in all its forms: text, JSON, LaTeX, HTML, why a rule is not used, and advice."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tpc.cli import cli
from tpc.dsl.diagnostics import TpcError
from tpc.dsl.parser import parse_expression
from tpc.dsl.source import Source
from tpc.explanation import Account, account, text
from tpc.explanation.advice import advise, candidates
from tpc.explanation.latex import escaped, formula, latex
from tpc.explanation.page import page
from tpc.explanation.record import record
from tpc.explanation.shortened import shortened
from tpc.explanation.why_not import why_not
from tpc.ir.elaborate.module import check
from tpc.passes.cost import profile
from tpc.passes.egraph.explore import Bounds
from tpc.passes.optimise import Request, search
from tpc.passes.pipeline import Plan, run

UPDATED = "def f(C: f64[n, r], d: f64[n] is positive, b: f64[n]) -> f64[n] = inv(diag(d) + C @ C') @ b\n"
SIZES = {"n": 5000, "r": 10}


def accounted(written: str, sizes: Mapping[str, int] | None = None, mode: str = "stable") -> Account:
    checked = check(Source(written))
    checked.diagnostics.raise_errors()
    program = checked.programs[checked.default() or ""]
    before = run(program, stop_after="respell", notes=checked.module.notes)
    found = search(before.program, Request(profile(threads=1), sizes or {}, mode, Bounds()))
    steps = (*before.steps, ("optimise", found.program))
    return account(program, Plan(found.program, steps, before.notes, found), sizes or {})


@pytest.fixture(scope="module")
def updated() -> Account:
    return accounted(UPDATED, SIZES)


def test_text_tells_the_steps_the_rules_their_reasons_and_the_totals(updated: Account) -> None:
    said = text(updated)
    for part in (
        "woodbury_product (updates.rules)",
        "inv(diag(d) + C @ C')",
        "since nonsingular(diag(d))",
        "positive(d): declared",
        "as written",
        "as chosen",
        "predicted time",
        "peak memory",
        updated.outcome,
    ):
        assert part in said
    assert "\x1b[" not in said
    painted = text(updated, color=True)
    assert "\x1b[" in painted and re.sub(r"\x1b\[[0-9;]*m", "", painted) == said


def test_text_tells_the_next_best_way() -> None:
    said = text(accounted("def f(S: f64[n, n] is spd, b: f64[n]) -> f64[n] = inv(S) @ b\n", {"n": 1000}))
    assert "next best" in said and re.search(r"out  potrs; .* would take .* more", said)


def test_totals_are_those_of_the_plan(updated: Account) -> None:
    assert updated.written.flops > 100 * updated.chosen.flops
    assert updated.written.seconds > 10 * updated.chosen.seconds > 0
    assert updated.cost.seconds == pytest.approx(updated.chosen.seconds)
    assert sum(line.seconds for line in updated.lines) == pytest.approx(updated.chosen.seconds)


def test_json_has_stable_keys(updated: Account) -> None:
    found = json.loads(json.dumps(record(updated)))
    assert list(found) == [
        *["function", "program", "plan", "passes", "sizes", "assumed", "cost", "totals", "held", "lines"],
        "choices",
        *["derivations", "native", "approximated", "iterated", "dense", "guards", "search"],
        *["prices", "variants", "check", "advice", "structured", "roofline"],
    ]
    step = found["derivations"][-1]["steps"][0]
    assert list(step) == ["rule", "text", "before", "after", "variables", "facts", "totals"]
    assert step["variables"] == {"D": "diag(d)", "U": "C", "V": "C'"}


# ---- LaTeX

COMMANDS = re.compile(
    r"left|right|top|begin|end|text|frac|sqrt|log|det|odot|otimes|operatorname|lVert|rVert|lvert|rvert|sum|dots|rho"
    r"|textasciicircum|textasciitilde|textbackslash"
)


def unbalanced(written: str) -> str:
    """What does not fit in LaTeX; nothing if all does."""
    body = re.sub(r"(?m)^%.*$", "", written)
    if not all(COMMANDS.fullmatch(command) for command in re.findall(r"\\([A-Za-z]+)", body)):
        return "a command that is not known"
    plain = re.sub(r"\\[{}]", "", body)
    depth = 0
    for sign in plain:
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return "a brace too many"
    if depth or body.count(r"\left") != body.count(r"\right"):
        return "an open brace or parenthesis"
    if re.search(r"(?<!\\)[#$_%](?!\{)", re.sub(r"_\{", "", body)):
        return "a sign that is not escaped"
    if body.count(r"\begin{align*}") != body.count(r"\end{align*}"):
        return "an open environment"
    return ""


def test_latex_holds_together(updated: Account) -> None:
    written = latex(updated)
    assert unbalanced(written) == ""
    assert r"\text{(1) woodbury\_product}" in written
    assert all(line.count("&") - 2 * line.count("&&") in (0, 1) for line in written.splitlines())
    nothing = latex(accounted("def f(a: f64) -> f64 = a + 1\n"))
    assert all(line.startswith("%") for line in nothing.splitlines())


def test_the_check_of_latex_can_fail() -> None:
    assert unbalanced(r"\frac{a}{b")
    assert unbalanced(r"a_b")
    assert unbalanced(r"\input{x}")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("inv(A' @ B)", r"\left(A^{\top}\,B\right)^{-1}"),
        ("(A @ B)'", r"\left(A\,B\right)^{\top}"),
        ("a / (b + 1)", r"\frac{a}{b + 1}"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
        ("-x^2", r"-x^{2}"),
        ("rho * my_x", r"\rho  \odot \text{my\_x}"),
        ("2 * norm(x) * A", r"2\,\lVert x \rVert\,A"),
        ("A[i, k] * (B * C)[k, j]", r"A_{i, k}\,\left(B \odot C\right)_{k, j}"),
        ("kron(A, B) + eye(n)", r"A \otimes B + I_{n}"),
        ("x[0, 1:n]", r"x_{0, 1{:}n}"),
    ],
)
def test_formulas(written: str, said: str) -> None:
    assert formula(parse_expression(written)) == said


def test_all_signs_are_escaped() -> None:
    assert unbalanced(rf"\text{{{escaped('a_b^c~d#e$f%g&h{i}j')}}}") == ""
    assert escaped("a\nb\\c") == r"a b\textbackslash{}c"


# ---- HTML


class Page(HTMLParser):
    """Collects tags, and finds those that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.wrong: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "onload", "onclick")]
        if tag not in ("meta", "br", "rect", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("rect", "path"):
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def read(content: str) -> Page:
    found = Page()
    found.feed(content)
    return found


def test_the_page_needs_nothing_else_and_is_well_formed(updated: Account) -> None:
    content = page(updated, UPDATED)
    found = read(content)
    assert not found.wrong and not found.open and not found.links
    assert {"svg", "table", "style"} <= found.tags and not {"script", "link", "img", "iframe"} & found.tags
    assert "http" not in content and "@import" not in content and "prefers-color-scheme: dark" in content
    assert content.count("<svg") == 2 and "woodbury_product" in content
    assert read("<b><i></b>").wrong


def test_the_page_is_safe_against_markup_in_what_was_written(updated: Account) -> None:
    assert "<script>" not in page(updated, "# <script>alert(1)</script>\n")


# ---- why not


@pytest.mark.parametrize(
    ("written", "rule", "said"),
    [
        (UPDATED, "woodbury_product", "it is used: step 1"),
        (UPDATED, "inverse_of_orthogonal", "it is not known that orthogonal(diag(d) + C @ C')"),
        (
            "def f(Q: f64[n, n], x: f64[n]) -> f64[n] = inv(Q) @ x\n",
            "inverse_of_orthogonal",
            "declare `Q is orthogonal`",
        ),
        ("def f(a: f64) -> f64 = a + 1\n", "woodbury", "neither side of it occurs"),
    ],
)
def test_why_a_rule_is_not_used(written: str, rule: str, said: str) -> None:
    assert said in "\n".join(why_not(accounted(written, SIZES), rule))


def test_why_a_dearer_form_is_not_used() -> None:
    written = "def f(A: f64[n, n], x: f64[n], y: f64[n]) -> f64[n] = A @ (x + y)\n"
    said = "\n".join(why_not(accounted(written, SIZES), "distribute"))
    assert "it was applied at 1 place, and the plan does without" in said
    assert "A @ (x + y) = A @ x + A @ y" in said and "would take" in said


def test_why_a_mode_forbids_a_rule() -> None:
    from tpc.dsl import syntax
    from tpc.passes.rules import rules

    forbidden = [law for law in rules().values() if isinstance(law, syntax.Rule) and law.tags]
    assert any(tag.name == "finite" for law in forbidden for tag in law.tags)
    written = "def f(x: f64[n], y: f64[n]) -> f64[n] = log(exp(x) * exp(y))\n"
    names = [law.name.name for law in forbidden if any(t.name in ("finite", "unstable") for t in law.tags)]
    said = ["\n".join(why_not(accounted(written), name)) for name in names]
    assert any("mode `stable` forbids it" in lines for lines in said)


def test_a_rule_that_is_not_there_has_near_names(updated: Account) -> None:
    with pytest.raises(TpcError) as raised:
        why_not(updated, "woodbury_prodct")
    assert "woodbury_product" in (raised.value.diagnostics[0].help or "")


# ---- advice


def test_a_fact_that_pays_is_advised() -> None:
    solved = accounted("def f(W: f64[n, n], x: f64[n]) -> f64[n] = inv(W) @ x\n", {"n": 1000})
    best = advise(solved).facts[0]
    assert best.input == "W" and best.seconds > 10 and best.flops > 10
    assert "declare `W is diagonal`" in text(replace(solved, advised=advise(solved)))


def test_when_no_fact_pays_that_is_said() -> None:
    nothing = advise(accounted("def f(x: f64[n], y: f64[n]) -> f64[n] = x + y\n", {"n": 1000}))
    assert not nothing.facts and "none of the 2 facts" in nothing.told
    assert "no fact" in advise(accounted("def f(x: f64) -> f64 = x + 1\n")).told
    assert "1 facts were tried, of" in advise(accounted(UPDATED, SIZES), most=1).told


def test_only_facts_that_can_hold_are_tried() -> None:
    checked = check(Source("def f(A: f64[n, m], S: f64[n, n] is spd, x: f64[n]) -> f64[m] = A' @ S @ x\n"))
    tried = {(str(node["name"]), fact.name) for node, fact in candidates(checked.programs["f"])}
    assert ("S", "diagonal") in tried and ("S", "spd") not in tried and ("S", "symmetric") not in tried
    assert not {("A", "spd"), ("A", "diagonal"), ("x", "spd")} & tried
    assert ("S", "upper") not in tried  # together with what is known, that is `diagonal`


# ---- long expressions


def test_long_expressions_get_names_for_their_parts() -> None:
    long = parse_expression("inv(A + B @ C @ D) @ x + inv(A + B @ C @ D) @ y + inv(A + B @ C @ D) @ z + P")
    (side,), parts = shortened([long], 40)
    from tpc.dsl.format import format_expression

    assert format_expression(side) == "Q @ x + Q @ y + Q @ z + P"  # P has a meaning already
    assert {name: format_expression(part) for name, part in parts.items()} == {"Q": "inv(A + B @ C @ D)"}
    assert shortened([long], 400) == ([long], {})


def test_parts_with_letters_that_are_bound_around_them_get_no_name() -> None:
    from tpc.dsl.format import format_expression

    long = parse_expression("sum[k, l](A[i, k] * inv(B @ C @ D)[k, l] * inv(B @ C @ D)[l, j] * A[k, l] * A[l, k])")
    (side,), parts = shortened([long], 40)
    assert {name: format_expression(part) for name, part in parts.items()} == {"P": "inv(B @ C @ D)"}
    assert format_expression(side).startswith("sum[k, l](A[i, k] * P[k, l] * P[l, j]")


# ---- the command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    Path("f.tp").write_text(UPDATED)
    Path("w.tp").write_text("def w(X: f64[n, m]) -> f64[m, m] where n > m = X' @ X\n")
    return tmp_path


def tpc(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.usefixtures("folder")
def test_files_are_written_whole_or_not_at_all() -> None:
    result = tpc("explain", "f.tp", "--dim", "n=50,r=2", "--html", "out.html", "--latex", "out.tex")
    assert result.exit_code == 0 and result.stdout == ""
    assert Path("out.html").read_text().endswith("</html>\n") and Path("out.tex").read_text().startswith("% f")
    missing = tpc("explain", "f.tp", "--dim", "n=50,r=2", "--html", "no/out.html")
    assert missing.exit_code == 1 and not Path("no").exists()


KRON = "def f(A: f64[n, n], B: f64[m, m], x: f64[n*m], s: f64) -> f64[n*m]:\n    y = x\n    repeat 20:\n"
KRON += "        y = kron(A, B) @ y + s * x\n    return y\n"


@pytest.mark.usefixtures("folder")
def test_variants_are_told_in_every_form() -> None:
    Path("v.tp").write_text("def f(A: f64[n, m], B: f64[m, k], C: f64[k, n]) -> f64[n, n] = A @ B @ C\n")
    said = tpc("explain", "v.tp", "--html", "v.html").output + tpc("explain", "v.tp").stdout
    found = json.loads(tpc("explain", "v.tp", "--json").stdout)["variants"]
    assert len(found) >= 2 and [served["told"] for served in found].count(True) == 1
    assert all(
        served["wins"] in said
        and served["wins"] in Path("v.html").read_text().replace("&lt;", "<").replace("&gt;", ">")
        for served in found
    )
    assert json.loads(tpc("explain", "v.tp", "--dim", "n=4,m=5,k=6", "--json").stdout)["variants"] == []


@pytest.mark.usefixtures("folder")
def test_what_the_pass_kronecker_does_stands_before_the_rest() -> None:
    Path("k.tp").write_text(KRON)
    found = json.loads(tpc("explain", "k.tp", "--dim", "n=40,m=30", "--json").stdout)
    parts = [part["of"] for part in found["derivations"]]
    assert parts[:2] == ["the body of a loop or branch, by the pass kronecker", "by the pass kronecker"]
    assert parts[-1] == "" and found["totals"]["written"]["flops"] > 5 * found["totals"]["chosen"]["flops"]


@pytest.mark.usefixtures("folder")
def test_verify_tells_what_it_showed() -> None:
    said = tpc("explain", "f.tp", "--dim", "n=5000,r=10", "--verify", "--html", "out.html", "--json")
    check = json.loads(said.stdout)["check"]
    assert check["method"] == "field" and check["bound"] < 1e-9 and check["instead"] == {"n": 5000, "r": 10}
    assert check["text"] in tpc("explain", "f.tp", "--dim", "n=5000,r=10", "--verify").stdout
    assert "Verified: " in Path("out.html").read_text()
    assert "verified  " in tpc("explain", "f.tp", "--verify", "--why-not", "woodbury").stdout
    assert json.loads(tpc("explain", "f.tp", "--json").stdout)["check"] is None


@pytest.mark.usefixtures("folder")
def test_the_mode_is_that_of_the_plan() -> None:
    bitwise = tpc("explain", "f.tp", "--mode", "bitwise", "--dim", "n=50,r=2").stdout
    assert "it is computed as written" in bitwise and "next best" not in bitwise


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["f.tp", "--mode", "quick"], 2, "'quick' is not one of 'bitwise', 'stable', 'fast'"),
        (["f.tp", "--threads", "0"], 2, "0 is not in the range x>=1"),
        (["f.tp", "--why-not", "woodbury", "--html", "-"], 2, "--html and --why-not would print over each other"),
        (["f.tp", "--dim", "k=3"], 1, "`f` has no size k"),
        (["g.tp"], 1, "`g.tp`"),
        (["f.tp", "-f", "g"], 1, "there is no function `g`"),
        (["f.tp", "--why-not", "zzzz"], 1, "there is no rule `zzzz`"),
        (["E9999"], 1, "codes look like E0203"),
        (["woodbury"], 1, "tpc explain FILE --why-not woodbury"),
        (["w.tp", "--dim", "n=3,m=5"], 1, "`w` needs n > m, but here that is 3 > 5"),
        (["f.tp", "--html", "."], 1, "error"),
    ],
)
def test_wrong_requests(arguments: list[str], code: int, said: str) -> None:
    result = tpc("explain", *arguments)
    assert result.exit_code == code and said in result.stderr and "Traceback" not in result.output


@pytest.mark.usefixtures("folder")
def test_one_thing_is_printed() -> None:
    assert tpc("explain", "f.tp", "--dim", "n=50,r=2", "--latex", "-").stdout.startswith("% f")
    assert tpc("explain", "f.tp", "--json", "--latex", "-").exit_code == 2
    assert tpc("explain", "f.tp", "--dim", "n=50,r=2", "--why-not", "wodbury").exit_code == 1
    found = json.loads(tpc("explain", "f.tp", "--dim", "n=50,r=2", "--why-not", "woodbury", "--json").stdout)
    assert found["ok"] and found["why_not"]


@pytest.mark.usefixtures("folder")
def test_native_code_is_told_in_every_form() -> None:
    pytest.importorskip("llvmlite")
    Path("spread.tp").write_text(
        "def spread(X: f64[n, n]) -> f64[n]:\n    s = median(tanh(X), axis=0)\n    return s * exp(-s)\n"
    )
    text = tpc("explain", "spread.tp", "--backend", "llvm").stdout
    assert "native code\n" in text and "s is not native: `median` has no formula" in text
    found = json.loads(tpc("explain", "spread.tp", "--backend", "llvm", "--json").stdout)["native"]
    assert len(found["functions"]) == 2
    assert found["refused"] == [{"what": "s", "why": "`median` has no formula"}]
    assert "<h2>Native code</h2>" in tpc("explain", "spread.tp", "--backend", "llvm", "--html", "-").stdout
    assert json.loads(tpc("explain", "spread.tp", "--json").stdout)["native"] is None


@pytest.mark.usefixtures("folder")
def test_what_is_fused_is_told() -> None:
    pytest.importorskip("llvmlite")
    Path("wave.tp").write_text("def wave(x: f64[n]) -> f64:\n    inner = tanh(x)\n    return sum(inner * x)\n")
    (function,) = json.loads(tpc("explain", "wave.tp", "--backend", "llvm", "--json").stdout)["native"]["functions"]
    assert function["fused"] == ["inner"] and function["stored"] == []
