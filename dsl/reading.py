"""Logical lines through lark's LALR tables, with recovery behind each line that cannot be read."""

from typing import Any

from tpc.dsl import limits, mistakes
from tpc.dsl.build_expressions import SyntaxFault
from tpc.dsl.diagnostics import Diagnostic
from tpc.dsl.source import Source
from tpc.dsl.tables import Machine, Unexpected
from tpc.dsl.tokens import HEADS, ITEMS, MAX_BLOCKS, MAX_ERRORS, Line, Token


class TooManyErrors(Exception):
    pass


class _Level:
    """A depth of indentation. It is `real` if the grammar knows of it, and not if it was a fault."""

    __slots__ = ("indent", "real", "broken")

    def __init__(self, indent: int, real: bool, broken: bool) -> None:
        self.indent = indent
        self.real = real
        self.broken = broken  # the last line at this level could not be read


class Reader:
    """Feeds lines to the parser and keeps the errors, at most `MAX_ERRORS`."""

    def __init__(self, source: Source, start: str, faults: list[Diagnostic]) -> None:
        self.source = source
        self.start = start
        self.faults = faults
        self.machine = Machine(start)
        self.levels: list[_Level] = []
        self.colon_missing = False

    def report(self, fault: Diagnostic) -> None:
        self.faults.append(fault)
        if len(self.faults) >= MAX_ERRORS:
            raise TooManyErrors

    # ---- texts without blocks

    def read_one(self, tokens: list[Token]) -> Any:
        """A text that is one phrase."""
        try:
            self.machine.feed(tokens)
            return self.finish()
        except Unexpected as error:
            line = Line(0, tokens, False)
            self.report(mistakes.explain(self.source, line, error.token, error.expected, self.start, False))
        except SyntaxFault as error:
            self.report(error.diagnostic)
        return None

    def read_flat(self, lines: list[Line]) -> Any:
        """A text of independent lines; their indentation means nothing."""
        for line in lines:
            self.line(line, False)
        return self.finish()

    def finish(self) -> Any:
        end = len(self.source.text)
        return self.machine.finish(Token("$END", "", end, end, self.source))

    # ---- programs

    def read_blocks(self, lines: list[Line]) -> Any:
        """A program. All of it may be indented, as in a string inside of another program."""
        levels = self.levels = [_Level(lines[0].indent if lines else 0, True, False)]
        opener: Line | None = None  # the line before, if it promised a block
        after_broken = False  # the line before could not be read: a block may follow or not
        for line in lines:
            top = levels[-1]
            if line.indent > top.indent:
                real = opener is not None or (after_broken and top.broken)
                if real:
                    self.mark("INDENT", line)
                else:
                    self.report(limits.unexpected_indent(line))
                levels.append(_Level(line.indent, real, False))
                if len(levels) > MAX_BLOCKS:
                    self.report(limits.too_many_blocks(line))
                    raise TooManyErrors
            else:
                global_word = line.tokens[0].type in ITEMS
                if opener is not None and len(levels) == 1 and not global_word:
                    # the body of a function without indentation: it goes on to the next function
                    if not self.colon_missing:
                        self.report(limits.missing_block(opener))
                    self.mark("INDENT", line)
                    levels.append(_Level(line.indent, True, False))
                elif opener is not None:
                    self.missing_block(opener, line)
                while len(levels) > 1 and (
                    line.indent < levels[-1].indent or (global_word and line.indent == levels[-2].indent)
                ):
                    if line.indent > levels[-2].indent:
                        break
                    if levels.pop().real:
                        self.mark("DEDENT", line)
                if line.indent != levels[-1].indent:
                    self.report(limits.unmatched_dedent(line))
                    levels[-1].indent = line.indent
            top = levels[-1]
            parent_broken = len(levels) > 1 and levels[-2].broken
            quiet = (line.tokens[0].type in ("ELIF", "ELSE") and top.broken) or (
                line.tokens[0].type in ITEMS and parent_broken
            )
            read = self.line(line, quiet)
            top.broken = after_broken = not read
            opens = read and (line.tokens[-1].type == "COLON" or self.colon_missing)
            opener = line if opens else None
        if opener is not None:
            self.missing_block(opener, lines[-1])
        while len(levels) > 1:
            if levels.pop().real:
                self.mark("DEDENT", lines[-1])
        return self.finish()

    def mark(self, type: str, line: Line) -> None:
        start = line.tokens[0].start
        self.machine.feed([Token(type, "", start, start, self.source)])

    def missing_block(self, opener: Line, line: Line) -> None:
        if not self.colon_missing:  # then that is said already
            self.report(limits.missing_block(opener))
        self.mark("INDENT", line)
        last = opener.tokens[-1]
        self.feed_line([Token("BROKEN", "", last.start, last.end, self.source)])
        self.mark("DEDENT", line)

    # ---- one line

    def line(self, line: Line, quiet: bool) -> bool:
        """Read a line; False if it could not be read and stands in the tree as broken."""
        self.colon_missing = False
        machine = self.machine
        if not line.broken:
            mark = machine.mark()
            try:
                self.feed_line(line.tokens)
                return True
            except Unexpected as error:
                token, inside = error.token, any(level.real for level in self.levels[1:])
                fault = mistakes.explain(self.source, line, token, error.expected, self.start, inside)
                colon = token.type == "NEWLINE" and "COLON" in error.expected
            except SyntaxFault as error:
                fault, colon = error.diagnostic, False
            if not quiet:
                self.report(fault)
            machine.back_to(mark)
            if colon and line.tokens[0].type in HEADS:
                end = line.tokens[-1].end
                try:
                    self.feed_line([*line.tokens, Token("COLON", ":", end, end, self.source)])
                    self.colon_missing = True
                    return True
                except (Unexpected, SyntaxFault):
                    machine.back_to(mark)
        span = line.span
        self.feed_line([Token("BROKEN", "", span.start, span.end, self.source)])
        return False

    def feed_line(self, tokens: list[Token]) -> None:
        end = tokens[-1].end
        self.machine.feed((*tokens, Token("NEWLINE", "", end, end, self.source)))
