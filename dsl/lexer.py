"""Text to logical lines of tokens.

Works on any text: a fault is reported, and the line it stands in is read on as far as it makes sense. A sign
of another language with one possible meaning (`**`) is reported and read as ours (`^`).
"""

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tpc.dsl import habits
from tpc.dsl.diagnostics import Diagnostic, Diagnostics
from tpc.dsl.source import Source, Span
from tpc.dsl.syntax import Comment
from tpc.dsl.tokens import (
    HABITS,
    KEYWORDS,
    MAX_ERRORS,
    MAX_NESTING,
    OPERAND_END,
    SIGNS,
    Line,
    Token,
)

# Letters and digits of any script, without the raised ones: `x²` must not become the name `x2`.
_RAISED = "ᵀ²³¹⁰ⁱ⁴-⁹ⁿ"
_WORD = re.compile(
    rf"""[ \t]*(?:
     (?P<name>[^\W\d{_RAISED}][^\W{_RAISED}]*(?:[\u0300-\u036f]+[^\W{_RAISED}]*)*)
    |(?P<newline>\r?\n)
    |(?P<number>(?:[0-9]+(?:\.(?!\.)[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\w*)
    |(?P<open>[(\[{{])
    |(?P<close>[)\]}}])
    |(?P<comment>\#[^\n]*)
    |(?P<string>"[^"\n]*"?)
    |(?P<quote>')
    |(?P<attribute>\.[^\W\d]\w*)
    |(?P<sign><=>|===|\|>|\.\.\.|=>|~>|\|-|->|~=|==|!=|<=|>=|<>|\*\*|%\*%|&&|\|\||//|:=|[-+*/@%]=|\.[*/^]
             |[-+*/@\\^<>=:,⊗·⋅−≤≥≠∈ᵀ≈&|!%])
    |(?P<semicolon>;)
    |(?P<other>.)
    |\Z)""",
    re.VERBOSE | re.DOTALL,
)
_NAME, _NEWLINE, _NUMBER, _OPEN, _CLOSE, _COMMENT, _STRING, _QUOTE, _ATTRIBUTE, _SIGN, _SEMICOLON = range(1, 12)

_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_BRACKETS: Final = {"(": "LPAR", ")": "RPAR", "[": "LSQB", "]": "RSQB", "{": "LSQB", "}": "RSQB"}

# These words cannot stand in brackets: an open bracket before such a line was forgotten.
_SURE_START = re.compile(r"[ \t]*(?:def|const|use|return|repeat|scan|until)\b")
# These can (`key=value`), but mostly begin a statement.
_LIKELY_START = re.compile(
    r"([ \t]*)(?:(?:if|elif)\b[^\n]*:[ \t]*(?:\#[^\n]*)?$|else[ \t]*:"
    r"|[^\W\d]\w*[ \t]*(?:[,\[:][^=\n]*)?~?=(?![=>]))",
    re.MULTILINE,
)

_MAX_REREAD: Final = 200_000  # characters; keeps the time linear where many brackets are left open


@dataclass(frozen=True, slots=True)
class _Retreat:
    """Where a statement seems to begin inside of brackets: the way back if they are never closed."""

    at: int
    brackets: list[Token]
    tokens: int
    comments: int
    reports: int


class _TooManyFaults(Exception):
    pass


class Lexer:
    """Reads one text.

    Parameters
    ----------
    joined : bool
        The text is one logical line, whatever line ends it has.
    semicolons : bool
        `;` ends a line.
    """

    def __init__(
        self, source: Source, diagnostics: Diagnostics, *, joined: bool = False, semicolons: bool = False
    ) -> None:
        self.source = source
        self.text = source.text
        self.diagnostics = diagnostics
        self.joined = joined
        self.semicolons = semicolons
        self.comments: list[Comment] = []
        self.lines: list[Line] = []
        self.tokens: list[Token] = []  # of the line being read
        self.indent = 0
        self.broken = False
        self.brackets: list[Token] = []
        self.deep = False
        self.tabs_reported = False
        self.split: int | None = None
        self.retreat: _Retreat | None = None
        self.reread = 0
        self.edits: list[habits.Edit] = []  # what would correct the habits

    def read(self) -> list[Line]:
        """The logical lines, with what is wrong in them reported; not all where too much is wrong."""
        with suppress(_TooManyFaults):
            self.scan()
        habits.correct_together(self.diagnostics.items, self.edits)
        return self.lines

    def scan(self) -> None:
        text, source, match = self.text, self.source, _WORD.match
        size = len(text)
        at = line_start = 1 if text.startswith("\ufeff") else 0
        tokens = self.tokens
        while at < size or self.brackets:
            found = match(text, at)
            kind = found.lastindex if found else None
            if found is None or kind is None:  # the end
                line_start = at = self.unclosed(size) if self.brackets else size
                tokens = self.tokens
                continue
            start, at = found.span(kind)
            if kind == _NEWLINE:
                line_start = at = self.end_of_line(at)
                tokens = self.tokens
                continue
            if kind == _COMMENT:
                end = at - 1 if text[at - 1] == "\r" else at
                self.comments.append(Comment(Span(source, start, end), bool(tokens)))
                continue
            if not tokens:
                self.start_line(line_start, start)
                if kind == _NAME and found[kind] == "where" and self.lines:
                    self.reopen_line()
                    tokens = self.tokens
            if kind == _NAME:
                word = found[kind]
                keyword = KEYWORDS.get(word)
                if keyword is not None:
                    tokens.append(Token(keyword[0], word, start, at, source))
                elif word.isascii():
                    tokens.append(Token("NAME", word, start, at, source))
                else:
                    tokens.append(self.name(Token("NAME", word, start, at, source)))
            elif kind == _SIGN:
                sign = found[kind]
                known = SIGNS.get(sign)
                if known is None:
                    at = self.foreign(sign, start, at)
                    continue
                type, sign = known
                if (sign == "-" or sign == "+") and not self.after_operand():
                    type = "PREFIX"
                tokens.append(Token(type, sign, start, at, source))
            elif kind == _OPEN:
                self.open(Token(_BRACKETS[found[kind]], found[kind], start, at, source))
                if self.deep and self.retreat is not None:
                    line_start = at = self.unclosed(at)
                    tokens = self.tokens
            elif kind == _CLOSE:
                self.close(Token(_BRACKETS[found[kind]], found[kind], start, at, source))
            elif kind == _NUMBER:
                tokens.append(Token("NUMBER", found[kind], start, at, source))
                if at - start == 3 and text[start] == "0" and text[start - 1] == ",":
                    self.grouped_digits()
            elif kind == _SEMICOLON:
                self.semicolon(Token("SEMI", ";", start, at, source))
                tokens = self.tokens
            else:
                at = self.rare(kind, found[kind], start, at)
        self.finish_line()

    def after_operand(self) -> bool:
        return bool(self.tokens) and self.tokens[-1].type in OPERAND_END

    # ---- lines

    def start_line(self, line_start: int, start: int) -> None:
        if self.split is not None:
            self.indent, self.split = self.split, None
            return
        self.indent = start - line_start
        blanks = self.text[line_start:start]
        if "\t" in blanks and not self.joined:
            self.indent = len(blanks.expandtabs(4))
            if not self.tabs_reported:
                self.tabs_reported = True
                self.note(habits.tab(Span(self.source, line_start, start)))

    def reopen_line(self) -> None:
        last = self.lines.pop()
        self.tokens, self.indent, self.broken = last.tokens, last.indent, last.broken

    def finish_line(self) -> None:
        if self.tokens:
            self.lines.append(Line(self.indent, self.tokens, self.broken))
        self.tokens = []
        self.broken = self.deep = False
        self.retreat = None

    def end_of_line(self, at: int) -> int:
        """A line end was read; the position to read on from."""
        if not self.brackets:
            if not self.joined:
                self.finish_line()
            return at
        if self.joined:
            return at
        if _SURE_START.match(self.text, at):
            return self.unclosed(at)
        if self.retreat is None:
            likely = _LIKELY_START.match(self.text, at)
            if likely and len(likely[1].expandtabs(4)) <= self.indent:
                reports = len(self.diagnostics.items)
                self.retreat = _Retreat(at, self.brackets[:], len(self.tokens), len(self.comments), reports)
        return at

    # ---- brackets

    def open(self, bracket: Token) -> None:
        self.tokens.append(bracket)
        self.brackets.append(bracket)
        if bracket.text == "{":
            self.report(habits.brace(bracket))
        if len(self.brackets) > MAX_NESTING and not self.deep:
            self.deep = True
            if self.retreat is None:  # else the way back is taken
                self.report(habits.too_deep(bracket.span, f"more than {MAX_NESTING} brackets are open here"))

    def close(self, bracket: Token) -> None:
        self.tokens.append(bracket)
        if not self.brackets:
            if bracket.text == "}":
                self.report(habits.brace(bracket))
            else:
                self.report(habits.stray(bracket))
            return
        opening = self.brackets.pop()
        if _CLOSERS[opening.text] != bracket.text:
            self.report(habits.mismatch(opening, bracket, _CLOSERS[opening.text]))
            if any(_CLOSERS[b.text] == bracket.text for b in self.brackets[-3:]):
                while _CLOSERS[self.brackets.pop().text] != bracket.text:
                    pass
        if not self.brackets:
            self.retreat = None

    def unclosed(self, at: int) -> int:
        """Give up waiting for a closing bracket at `at`; the position to read on from."""
        point = self.retreat
        if point is not None and self.reread + at - point.at <= _MAX_REREAD:
            self.reread += at - point.at
            at, self.brackets = point.at, point.brackets
            self.deep = len(self.brackets) > MAX_NESTING
            del self.tokens[point.tokens :], self.comments[point.comments :]
            del self.diagnostics.items[point.reports :]
            self.edits = [edit for edit in self.edits if edit.fault < point.reports]
        opening = self.brackets[-1]
        if opening.text != "{" and (point is not None or not self.deep):
            self.report(habits.unclosed(opening, _CLOSERS[opening.text]))
        self.brackets = []
        self.finish_line()
        return at

    def semicolon(self, sign: Token) -> None:
        if self.brackets:
            self.tokens.append(sign)
        elif self.semicolons:
            self.finish_line()
        else:
            last = habits.rest_is_blank(sign)
            self.note(habits.semicolon(sign, last))
            if not last:
                indent = self.indent
                self.finish_line()
                self.split = indent  # what follows on the line stands as deep as what came before

    # ---- what is seldom

    def name(self, token: Token) -> Token:
        """A name with letters beyond ASCII, in its normal form."""
        word = unicodedata.normalize("NFKC", token.text)
        token.type, token.text = KEYWORDS.get(word, ("NAME", word))
        if not word.isidentifier():
            self.report(habits.bad_name(token))
        return token

    def grouped_digits(self) -> None:
        """`1,000` was read up to `000`."""
        if len(self.tokens) < 3:
            return
        first, _, last = self.tokens[-3:]
        if first.type == "NUMBER" and first.text.isdigit() and last.text.isdigit() and last.start == first.end + 1:
            del self.tokens[-2:]
            first.text += last.text
            first.end = last.end
            self.note(habits.grouped_number(first), first, first.text)

    def report(self, fault: Diagnostic) -> None:
        """Report a fault after which the line cannot be parsed."""
        self.broken = True
        self.note(fault)

    def note(self, fault: Diagnostic, token: Token | None = None, text: str = "") -> None:
        """Report a fault in spite of which the line has a meaning: `text` in the place of the token."""
        if token is not None:
            self.edits.append(habits.Edit(len(self.diagnostics.items), token.span, text))
        self.diagnostics.items.append(fault)
        if len(self.diagnostics.items) >= MAX_ERRORS:
            raise _TooManyFaults

    def foreign(self, sign: str, start: int, at: int) -> int:
        """An operator of another language; the position to read on from."""
        token = Token("OP", sign, start, at, self.source)
        meant = HABITS.get(sign)
        if sign in ("|", "||") and not self.after_operand() and (fault := habits.bars(token)) is not None:
            self.report(fault)
            return fault.labels[0].span.end
        if meant is not None:
            token.type, token.text = meant
            self.tokens.append(token)
            self.note(habits.operator(token, meant[1]), token, meant[1] + " " * (sign == "!"))
            return at
        self.report(habits.other_operator(token, self.tokens))
        if sign == "//" and not self.after_operand():
            end = self.text.find("\n", at)
            return end if end >= 0 else len(self.text)
        if self.after_operand() or not self.tokens:
            self.tokens.append(token)
        return at

    def rare(self, kind: int, word: str, start: int, at: int) -> int:
        """A string, a quote, an attribute or an unknown character; the position to read on from."""
        token = Token("STRING", word, start, at, self.source)
        if kind == _STRING:
            if len(word) < 2 or not word.endswith('"'):
                self.report(habits.open_string(token))
            self.tokens.append(token)
        elif kind == _QUOTE:
            if self.after_operand():
                token.type = "PRIME"
            else:
                end = self.text.find("'", at)
                line_end = self.text.find("\n", at)
                if end >= 0 and (end < line_end or line_end < 0):
                    token.end = at = end + 1
                    token.text = f'"{token.written[1:-1]}"'
                    self.note(habits.single_quotes(token), token, token.text)
                else:
                    self.report(habits.lone_quote(token))
            self.tokens.append(token)
        elif kind == _ATTRIBUTE:
            self.attribute(token)
        elif not habits.HIDDEN.match(word):  # those are reported already, wherever they stand
            self.report(habits.character(token))
            self.tokens.append(token)
        else:
            self.broken = True
        return at

    def attribute(self, token: Token) -> None:
        before = self.tokens[-1] if self.tokens else None
        name = token.text[1:]
        if before is not None and before.type == "NAME" and before.text in habits.MODULES:
            before.end = token.end
            if self.text[token.end : token.end + 1] == ".":  # np.linalg.inv
                return
            before.text = habits.SPELLED.get(name, name)
            self.note(habits.module_function(before), before, before.text)
        elif name in ("T", "mT") and self.after_operand():
            token.type, token.text = "PRIME", "'"
            self.note(habits.dot_transpose(token, self.tokens[-1]), token, "'")
            self.tokens.append(token)
        else:
            self.report(habits.attribute(token, self.tokens))
            self.tokens.append(token)
