"""Faults of lines as wholes: indentation, size, depth, number of errors."""

from collections.abc import Iterator

from tpc.dsl.diagnostics import Diagnostic, Label, diagnostic
from tpc.dsl.habits import too_deep
from tpc.dsl.source import Source, Span
from tpc.dsl.tokens import MAX_BLOCKS, MAX_CHAIN, MAX_CHARACTERS, MAX_ERRORS, MAX_LINE, MAX_NESTING, Line


def unexpected_indent(line: Line) -> Diagnostic:
    return diagnostic(
        "E0110",
        "a line is indented without reason",
        Label(line.tokens[0].span, "deeper than the line before, which opens no block"),
        help="indent it like the line before",
    )


def unmatched_dedent(line: Line) -> Diagnostic:
    return diagnostic(
        "E0110",
        "the indentation fits no block",
        Label(line.tokens[0].span, f"{line.indent} spaces, as no line above"),
        help="indent it like the other lines of its block",
    )


def missing_block(opener: Line) -> Diagnostic:
    return diagnostic(
        "E0110",
        "an indented block is missing",
        Label(opener.tokens[-1].span, "opens a block"),
        help="indent the lines of the block by four spaces",
    )


def too_many_blocks(line: Line) -> Diagnostic:
    return diagnostic(
        "E0107",
        "nested too deeply",
        Label(line.tokens[0].span, f"more than {MAX_BLOCKS} blocks are open here"),
        help="move inner blocks to functions of their own",
    )


def too_many_errors(last: Diagnostic) -> Diagnostic:
    return diagnostic(
        "E0120",
        f"stopped after {MAX_ERRORS} errors",
        last.labels[0].span,
        help="mend these first, then check again",
    )


def oversized(source: Source) -> Iterator[Diagnostic]:
    if len(source.text) > MAX_CHARACTERS:
        span = Span(source, MAX_CHARACTERS, MAX_CHARACTERS + 1)
        yield diagnostic(
            "E0109",
            "the file is too large",
            Label(span, f"character {MAX_CHARACTERS + 1}"),
            notes=(f"the limit is {MAX_CHARACTERS:,} characters",),
            help='divide it, with `use "other.tp"`; data are read by `load("file.npy")`',
        )
        return
    start = 0
    for line in source.text.split("\n"):
        if len(line) > MAX_LINE:
            span = Span(source, start + MAX_LINE, start + MAX_LINE + 1)
            yield diagnostic(
                "E0109",
                "the line is too long",
                Label(span, f"character {MAX_LINE + 1} of the line"),
                notes=(f"the limit is {MAX_LINE:,} characters",),
                help="inside of brackets an expression may go over several lines",
            )
            return
        start += len(line) + 1


def excess(line: Line) -> Diagnostic | None:
    """What is wrong with a line whose tree would be too deep for those who walk it."""
    prefixes = 0
    levels = [[0, 0, 0]]  # for each open bracket: operators since the last comma, deepest group in them, deepest so far
    for token in line.tokens:
        prefixes = prefixes + 1 if token.type == "PREFIX" else 0
        if prefixes > MAX_NESTING:
            return too_deep(token.span, f"more than {MAX_NESTING} signs in a row")
        level = levels[-1]
        if token.type in ("OP", "AND", "PREFIX", "PRIME", "IF"):
            level[0] += 1
        elif token.type in ("LPAR", "LSQB"):
            level[0] += 1
            levels.append([0, 0, 0])
        elif token.type in ("RPAR", "RSQB") and len(levels) > 1:
            levels.pop()
            depth = max(level[2], level[0] + level[1] + 1)
            level = levels[-1]
            level[1] = max(level[1], depth)
        elif token.type in ("COMMA", "SEMI", "EQ", "COLON"):
            level[2] = max(level[2], level[0] + level[1] + 1)
            level[0] = level[1] = 0
        if level[0] >= MAX_CHAIN or level[0] + level[1] > MAX_CHAIN + MAX_NESTING:
            return diagnostic(
                "E0108",
                "the expression is too long",
                Label(token.span, "the limit is reached here"),
                notes=(f"the limit is {MAX_CHAIN:,} operands in one expression",),
                help="divide it into several statements, or write `sum[k](x[k])`",
            )
    return None
