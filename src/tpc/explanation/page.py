"""An account as one page of HTML that needs nothing else: no script, no network, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tpc.dsl.format import format_expression
from tpc.explanation.account import Account, Line
from tpc.explanation.drawing import drawing
from tpc.explanation.native import sentence
from tpc.explanation.shortened import shortened
from tpc.explanation.words import (
    bytes_text,
    compared,
    count_text,
    gains_text,
    rule_text,
    seconds_text,
    sizes_text,
    stage_place,
    totals_text,
)
from tpc.passes.derivation import Derivation, Stage
from tpc.passes.kernels import Totals

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --paper: #ffffff; --faint: #5f6b76; --line: #d5dbe1;
        --box: #f4f6f8; --given: #e6f0fb; --result: #e4f5e6; --rule: #0b5cad; --gain: #1a7f37; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e7eb; --paper: #15181b; --faint: #98a3ad; --line: #363d44;
          --box: #20252a; --given: #17314c; --result: #16391f; --rule: #6cb2f7; --gain: #5fd07a; } }
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
       max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
pre, code, td.code { font-family: ui-monospace, monospace; font-size: 13px; white-space: pre-wrap; }
table { border-collapse: collapse; }
td, th { padding: 2px 10px; text-align: right; border-bottom: 1px solid var(--line); }
td:first-child, th:first-child, td.left { text-align: left; } .faint { color: var(--faint); }
.rule { color: var(--rule); font-weight: 600; } .gain { color: var(--gain); font-weight: 600; }
.scroll { overflow-x: auto; } ol.steps > li { margin-bottom: 1rem; }
svg text { font: 12px ui-monospace, monospace; fill: var(--ink); text-anchor: middle; }
svg text.type { fill: var(--faint); font-size: 10px; } svg rect { fill: var(--box); stroke: var(--line); }
svg .given rect { fill: var(--given); } svg .result rect { fill: var(--result); }
svg .edge { fill: none; stroke: var(--faint); stroke-width: 1; }
@media print { body { margin: 0; max-width: none; } .scroll { overflow: visible; } }
"""


def page(account: Account, source: str = "") -> str:
    """The page.

    Parameters
    ----------
    source
        The function as it was written.
    """
    name = escape(account.name)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}: what runs, and why</title><style>{STYLE}</style></head><body>",
        f"<h1>{name}</h1>",
        f"<pre>{escape(source)}</pre>" if source else "",
        *_totals(account),
        *_derivations(account),
        "<h2>What runs</h2>",
        *_table(account.lines),
        *_native(account),
        *_choices(account),
        *_variants(account),
        *_advice(account),
        "<h2>The graph as written</h2>",
        f'<div class="scroll">{drawing(account.program, account.plan.notes.names)}</div>',
        "<h2>The graph that runs</h2>",
        f'<div class="scroll">{drawing(account.plan.program, account.plan.notes.names)}</div>',
        f'<p class="faint">{"<br>".join(map(escape, (account.outcome, *account.prices)))}</p>',
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _totals(account: Account) -> Iterator[str]:
    yield f"<h2>In all{escape(sizes_text(account.at, account.assumed))}</h2>"
    yield "<table><tr><th></th><th>as written</th><th>as chosen</th><th>less</th></tr>"
    for what, before, after, less in compared(account.written, account.chosen):
        yield f'<tr><td>{what}</td><td>{before}</td><td>{after}</td><td class="gain">{less}</td></tr>'
    yield "</table>"
    if account.check is not None:
        yield f"<p>Verified: {escape(str(account.check))}.</p>"


def _derivations(account: Account) -> Iterator[str]:
    for part in account.derivations:
        if part.derivation.stages:
            yield f"<h2>From what was written to the plan{f' ({part.of})' if part.of else ''}</h2>"
            yield from _derivation(part.derivation)


def _derivation(derivation: Derivation) -> Iterator[str]:
    yield f"<p>As written: {totals_text(derivation.written)}<br>"
    yield f"With orders and kernels chosen: {totals_text(derivation.planned)}</p>"
    yield '<ol class="steps">'
    for stage, after in zip(derivation.stages, derivation.changes):
        yield from _stage(stage, after)
    yield "</ol>"
    if not derivation.is_complete:
        yield '<p class="faint">The plan takes more steps than those that were found.</p>'


def _stage(stage: Stage, then: Totals | None) -> Iterator[str]:
    (before, after), parts = shortened([stage.before, stage.after])
    lines = [f"  {format_expression(before)}", f"= {format_expression(after)}"]
    lines += [f"  where {short} = {format_expression(part)}" for short, part in parts.items()]
    body = "\n".join(lines)
    place = escape(stage_place(stage.rule))
    yield f'<li><span class="rule">{escape(stage.rule)}</span><span class="faint">{place}</span>'
    yield f"<pre>{escape(body)}</pre>"
    yield f'<div class="faint"><code>{escape(rule_text(stage.rule))}</code></div>'
    for fact, reasons in stage.facts:
        told = "\n".join(reasons)
        yield f"<details><summary>since <code>{escape(fact)}</code></summary><pre>{escape(told)}</pre></details>"
    if then is not None:
        yield f"<div>then {totals_text(then)}</div>"
    yield "</li>"


def _table(lines: Sequence[Line]) -> Iterator[str]:
    yield '<div class="scroll"><table>'
    yield "<tr><th>line</th><th>kernel</th><th>flops</th><th>bytes</th><th>time</th><th>facts</th></tr>"
    for line in lines:
        counts = [count_text(line.flops), bytes_text(line.bytes), seconds_text(line.seconds) if line.seconds else ""]
        cells = "".join(f"<td>{escape(c) if line.is_step else ''}</td>" for c in counts)
        yield (
            f'<tr><td class="code">{escape(line.code)}</td><td class="rule left">{escape(line.kernel)}</td>{cells}'
            f'<td class="left">{escape(", ".join(line.facts))}</td></tr>'
        )
    yield "</table></div>"


def _choices(account: Account) -> Iterator[str]:
    if not account.choices:
        return
    yield "<h2>Next best</h2><table><tr><th>value</th><th>kernel</th><th>other</th><th>would take more</th></tr>"
    for choice in account.choices:
        excluded = "".join(f"; {kernel} needs {fact}" for kernel, fact in choice.excluded)
        yield (
            f"<tr><td>{escape(choice.name)}</td><td>{escape(choice.kernel)}</td>"
            f"<td>{escape(choice.other + excluded)}</td><td>{seconds_text(choice.extra)}</td></tr>"
        )
    yield "</table>"


def _native(account: Account) -> Iterator[str]:
    if account.native is None:
        return
    yield "<h2>Native code</h2><ul>"
    yield from (f"<li>{escape(sentence(function))}</li>" for function in account.native.functions)
    for name, reason in account.native.refused:
        yield f'<li>{escape(name)} is not native: <span class="faint">{escape(reason)}</span></li>'
    yield "</ul>"


def _variants(account: Account) -> Iterator[str]:
    if not account.variants:
        return
    at = escape(sizes_text(account.at).removeprefix(", at "))
    yield "<h2>Plans, of which a call takes the fastest at its sizes</h2>"
    yield f"<table><tr><th>plan</th><th>is the fastest for</th><th>time at {at}</th><th>operations</th></tr>"
    for number, served in enumerate(account.variants, 1):
        yield (
            f"<tr><td>{number}{' (shown here)' * served.is_told}</td><td class='left'>{escape(served.wins)}</td>"
            f"<td>{seconds_text(served.seconds)}</td><td>{escape(count_text(served.flops))}</td></tr>"
        )
    yield f'</table><p class="faint">{escape(account.loss)}</p>'


def _advice(account: Account) -> Iterator[str]:
    if not account.advised:
        return
    if account.advised.facts:
        yield "<h2>It would be cheaper, if it were known and true</h2><ul>"
        for item in account.advised.facts:
            yield (
                f"<li>declare <code>{escape(f'{item.input} is {item.fact}')}</code>: "
                f"{gains_text(item.flops, item.seconds)}</li>"
            )
        yield "</ul>"
    if account.advised.told:
        yield f'<p class="faint">{escape(account.advised.told)}</p>'
