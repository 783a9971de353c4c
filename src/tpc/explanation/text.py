"""An account as text for a terminal, in colour or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpc.dsl.format import format_expression
from tpc.explanation.account import Account, Choice, Line
from tpc.explanation.approximations import sentences
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
from tpc.memory import amount
from tpc.passes.derivation import Derivation, Stage

Row = list[tuple[str, str]]
"""A line as pieces, each with its style."""

PLAIN, STRONG, FAINT, RULE, FACT, GAIN = "", "bold", "dim", "bold cyan", "green", "bold green"
MOST_CHOICES = 12
CODE_WIDTH = 72


def text(account: Account, color: bool = False) -> str:
    """The whole account: lines with kernels and costs, choices, derivation, totals, and where the numbers are from."""
    parts = (
        _table(account),
        _runs(account),
        _approximations(account),
        _sentences("solved by steps", account.iterated),
        _sentences("declared sparse, stored dense", account.dense),
        _ahead(account),
        _native(account),
        _choices(account.choices),
        _derivations(account),
        _totals(account),
        _variants(account),
        _check(account),
        _advice(account),
    )
    rows = [_trimmed(row) for part in parts for row in part]
    return _painted(rows) if color else _plain(rows)


def _plain(rows: Sequence[Row]) -> str:
    return "".join("".join(piece for piece, _ in row) + "\n" for row in rows)


def _trimmed(row: Row) -> Row:
    """The line without spaces at its end."""
    while row and not row[-1][0].rstrip():
        row = row[:-1]
    return [*row[:-1], (row[-1][0].rstrip(), row[-1][1])] if row else []


def _painted(rows: Sequence[Row]) -> str:
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    console = Console(file=StringIO(), force_terminal=True, color_system="standard", width=10**6, highlight=False)
    with console.capture() as capture:
        for row in rows:
            console.print(Text.assemble(*row), soft_wrap=True)
    return capture.get()


# ---- the plan


def _table(account: Account) -> Iterator[Row]:
    cells = [("", "kernel", "flops", "bytes", "time", "facts"), *map(_cells, account.lines)]
    width = min(max(len(cell[0]) for cell in cells), CODE_WIDTH)
    columns = [max(len(cell[k]) for cell in cells) for k in range(1, 5)]
    for number, (code, kernel, *counts, facts) in enumerate(cells):
        if not (kernel or facts or any(counts)):
            yield [(code, PLAIN)]
            continue
        style = STRONG if number == 0 else PLAIN
        shown = "  ".join(f"{c:>{w}}" for c, w in zip(counts, columns[1:]))
        yield [
            (f"{code:<{width}}  ", style),
            (f"{kernel:<{columns[0]}}  ", style or RULE),
            (f"{shown}  ", style),
            (facts, style or FACT),
        ]
    changed = ", ".join(name for name, _ in account.plan.steps)
    yield []
    yield [(f"passes that changed it: {changed}" if changed else "no pass changed it", FAINT)]
    yield []


def _cells(line: Line) -> tuple[str, str, str, str, str, str]:
    facts = ", ".join(line.facts)
    if not line.is_step:
        return line.code, "", "", "", "", facts
    return (
        line.code,
        line.kernel,
        count_text(line.flops),
        bytes_text(line.bytes),
        seconds_text(line.seconds) if line.seconds else "",
        facts,
    )


def _runs(account: Account) -> Iterator[Row]:
    if account.runs:
        yield [("backend", STRONG)]
        yield [(f"  {account.runs}", PLAIN)]
        yield []


def _ahead(account: Account) -> Iterator[Row]:
    if account.ahead:
        yield [("prepared ahead", STRONG)]
        yield from ([(f"  {line}", PLAIN)] for line in account.ahead)
        yield []


def _approximations(account: Account) -> Iterator[Row]:
    yield from _sentences("approximated", list(sentences(account.certificates)))


def _sentences(head: str, lines: Sequence[str]) -> Iterator[Row]:
    if lines:
        yield [(head, STRONG)]
        yield from ([(f"  {line}", PLAIN)] for line in lines)
        yield []


def _native(account: Account) -> Iterator[Row]:
    if account.native is None:
        return
    yield [("native code", STRONG)]
    for function in account.native.functions:
        yield [(f"  {sentence(function)}", PLAIN)]
    for name, reason in account.native.refused:
        yield [(f"  {name} is not native: ", PLAIN), (reason, FAINT)]
    if not account.native.functions:
        yield [("  there is none", PLAIN)]
    yield []


def _choices(choices: Sequence[Choice]) -> Iterator[Row]:
    if not choices:
        return
    yield [("next best", STRONG)]
    width = max(len(c.name) for c in choices)
    for choice in sorted(choices, key=lambda c: c.extra)[:MOST_CHOICES]:
        row = [
            (f"  {choice.name:<{width}}  ", PLAIN),
            (choice.kernel, RULE),
            (f"; {choice.other} would take {seconds_text(choice.extra)} more", PLAIN),
        ]
        row += [(f"; {kernel} needs `{fact}`, which is not known", FAINT) for kernel, fact in choice.excluded]
        yield row
    if len(choices) > MOST_CHOICES:
        yield [(f"  and {len(choices) - MOST_CHOICES} more, which would take longer still", FAINT)]
    yield []


# ---- how it came to be


def _derivations(account: Account) -> Iterator[Row]:
    for part in account.derivations:
        if part.derivation.stages:
            where = f" ({part.of})" if part.of else ""
            yield [(f"from what was written to the plan{where}{sizes_text(account.at, account.assumed)}", STRONG)]
            yield from _derivation(part.derivation)
            yield []


def _derivation(derivation: Derivation) -> Iterator[Row]:
    yield [(f"  as written: {totals_text(derivation.written)}", PLAIN)]
    yield [(f"  with orders and kernels chosen: {totals_text(derivation.planned)}", PLAIN)]
    for number, (stage, after) in enumerate(zip(derivation.stages, derivation.changes), 1):
        yield [(f"  {number}. ", PLAIN), (stage.rule, RULE), (stage_place(stage.rule), FAINT)]
        yield from _stage(stage)
        if after is not None:
            yield [(f"     then {totals_text(after)}", PLAIN)]
    if not derivation.is_complete:
        yield [("  the plan takes more steps than those that were found", FAINT)]


def _stage(stage: Stage) -> Iterator[Row]:
    (before, after), parts = shortened([stage.before, stage.after])
    yield [("       ", PLAIN), (format_expression(before), PLAIN)]
    yield [("     = ", PLAIN), (format_expression(after), PLAIN)]
    for short, part in parts.items():
        yield [(f"       where {short} = {format_expression(part)}", FAINT)]
    yield [(f"     by {rule_text(stage.rule)}", FAINT)]
    for fact, lines in stage.facts:
        first, *more = lines or ("",)
        told = first if first.startswith(f"{fact}: ") else f"{fact}: {first}"
        yield [("     since ", PLAIN), (told, FACT)]
        yield from ([(f"           {line}", FAINT)] for line in more)


# ---- in all


def _totals(account: Account) -> Iterator[Row]:
    total = account.cost
    if account.assumed:
        yield [("operations   ", PLAIN), (count_text(total.flops), PLAIN)]
        yield [("memory moved ", PLAIN), (bytes_text(total.bytes), PLAIN)]
        yield [("peak memory  ", PLAIN), (bytes_text(total.peak_bytes), PLAIN)]
        yield []
    yield [(f"in all{sizes_text(account.at, account.assumed)}", STRONG)]
    rows = [("", "as written", "as chosen", ""), *compared(account.written, account.chosen)]
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    for name, before, after, less in rows:
        row = [(f"  {name:<{widths[0]}}  {before:>{widths[1]}}  {after:>{widths[2]}}  ", PLAIN)]
        yield [*row, (f"{less:>{widths[3]}}", GAIN if less else PLAIN)]
    if account.held:
        largest = [f"{held.name}{f' {held.type}' * bool(held.type)} {amount(held.bytes)}" for held in account.held]
        yield [("  held at the peak: ", FAINT), (", ".join(largest), FAINT)]
    yield []
    for guard in account.guards:
        yield [("guarded  ", STRONG), (guard, PLAIN)]
    yield [(account.outcome, FAINT)]
    for told in account.prices:
        yield [(told, FAINT)]


def _variants(account: Account) -> Iterator[Row]:
    if not account.variants:
        return
    yield []
    head = "plans, of which a call takes the fastest at its sizes; times are those"
    yield [(f"{head}{sizes_text(account.at).removeprefix(',')}", STRONG)]
    cells = [
        (
            f"  {number}{' (shown here)' * served.is_told}",
            served.wins,
            seconds_text(served.seconds),
            f"{count_text(served.flops)} flops",
        )
        for number, served in enumerate(account.variants, 1)
    ]
    widths = [max(len(cell[k]) for cell in cells) for k in range(3)]
    for *first, flops in cells:
        yield [("  ".join([*(f"{cell:<{width}}" for cell, width in zip(first, widths)), flops]), PLAIN)]
    yield [(account.loss, FAINT)]


def _check(account: Account) -> Iterator[Row]:
    if account.check is not None:
        yield []
        yield [("verified  ", STRONG), (str(account.check), PLAIN)]


def _advice(account: Account) -> Iterator[Row]:
    advised = account.advised
    if advised is None or not advised:
        return
    yield []
    if advised.facts:
        yield [("it would be cheaper, if it were known and true", STRONG)]
    for item in advised.facts:
        yield [
            (f"  declare `{item.input} is {item.fact}`: ", FACT),
            (gains_text(item.flops, item.seconds), PLAIN),
        ]
    if advised.structured:
        yield [("constants with structure that the program does not say", STRONG)]
    for found in advised.structured:
        yield [(f"  {found.constant}: {found.about}; ", PLAIN)]
        yield [(f"    write `{found.write}`: ", FACT), (gains_text(found.flops, found.seconds), PLAIN)]
    if advised.told:
        yield [(advised.told, FAINT)]
