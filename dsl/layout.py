"""Code as a row of tokens that knows where it may be broken, and its division into lines.

What fits is one line. What does not is opened at one of its outermost brackets: the inside is indented by
four and laid out the same way, items of a list one a line. Where there is no bracket to open, or where the
parts then fit, the line is divided at its loosest breaks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tpc.dsl.tokens import MAX_NESTING

LINE_WIDTH = 100
INDENT = 4


@dataclass(frozen=True, slots=True)
class Open:
    """An opening bracket; `text` is empty for one that is written only where the line is broken in it."""

    text: str
    when_broken: str


@dataclass(frozen=True, slots=True)
class Close:
    text: str
    when_broken: str


@dataclass(frozen=True, slots=True)
class Break:
    """A place between two parts: `before` ends the upper line, `after` begins the lower.

    The lower the rank, the looser the parts hang together, and the earlier the break is used.
    """

    rank: int
    before: str
    after: str


Token = str | Open | Close | Break


def bracketed(opening: str, inside: Iterable[Token], closing: str) -> list[Token]:
    return [Open(opening, opening), *inside, Close(closing, closing)]


def breakable(inside: Sequence[Token]) -> list[Token]:
    """The tokens, in parentheses where they must be broken and have a break outside of all brackets."""
    if not _is_divisible(inside):
        return list(inside)
    depth = deepest = 0
    for token in inside:
        depth += isinstance(token, Open) - isinstance(token, Close)
        deepest = max(deepest, depth)
    if deepest == MAX_NESTING:
        return [flat(inside)]  # one more pair would be more than the parser takes
    return [Open("", "("), *inside, Close("", ")")]


def flat(tokens: Iterable[Token]) -> str:
    """The tokens on one line."""
    return "".join(map(_flat, tokens))


def lay_out(tokens: Sequence[Token], indent: int) -> list[str]:
    """The lines of the tokens, each at most `LINE_WIDTH` wide where brackets allow it.

    The first line and the last are indented by `indent` spaces.
    """
    lines: list[str] = []
    tokens = list(tokens)
    divisible = _is_divisible(tokens)
    while not _fits(tokens, LINE_WIDTH - indent):
        group = _group_to_open(tokens, LINE_WIDTH - indent)
        if divisible:
            parts = _parts(tokens)
            # A continued line stands deeper than a block would.
            indents = [indent, *(indent + 2 * INDENT for _ in parts[1:])]
            fit = all(_fits(part, LINE_WIDTH - space) for space, part in zip(indents, parts))
            if len(parts) > 1 and (fit or group is None):
                for space, part in zip(indents, parts):
                    lines += lay_out(part, space)
                return lines
        if group is None:
            break
        start, end = group
        opening, closing = tokens[start], tokens[end]
        assert isinstance(opening, Open) and isinstance(closing, Close)
        lines += lay_out([*tokens[:start], opening.when_broken], indent)
        inside = tokens[start + 1 : end]
        is_list = any(isinstance(token, Break) and token.before for token in _outermost(inside))
        whole = not is_list and _fits(inside, LINE_WIDTH - indent - INDENT)
        for part in [inside] if whole else _parts(inside):
            lines += lay_out(part, indent + INDENT)
        tokens = [closing.when_broken, *tokens[end + 1 :]]
    return [*lines, " " * indent + flat(tokens)]


def _fits(tokens: Sequence[Token], room: int) -> bool:
    """Whether the tokens on one line take at most `room` columns."""
    for token in tokens:
        room -= len(_flat(token))
        if room < 0:
            return False
    return True


def _is_divisible(tokens: Sequence[Token]) -> bool:
    """Whether there is a break outside of all brackets."""
    return any(isinstance(token, Break) for token in _outermost(tokens))


def _flat(token: Token) -> str:
    if isinstance(token, str):
        return token
    if isinstance(token, Break):
        return f"{token.before} {token.after}"
    return token.text


def _outermost(tokens: Iterable[Token]) -> Iterable[Token]:
    """The tokens outside of all brackets."""
    depth = 0
    for token in tokens:
        if isinstance(token, Close):
            depth -= 1
        if depth == 0:
            yield token
        if isinstance(token, Open):
            depth += 1


def _group_to_open(tokens: Sequence[Token], room: int) -> tuple[int, int] | None:
    """The first and last token of the outermost bracket to open, if there is one with a place to break.

    Of those that begin within `room` columns the longest is taken, a square one, which mostly holds indices
    or sizes, only if none is round; else the next one behind.
    """
    best, best_key = None, (False, -1)
    depth = start = column = begin = 0
    opening, has_break = Open("", ""), False
    for index, token in enumerate(tokens):
        if depth == 0 and column >= room and best is not None:
            break
        if isinstance(token, Open):
            if depth == 0:
                opening, start, begin, has_break = token, index, column, False
            depth += 1
        column += len(_flat(token))
        has_break = has_break or isinstance(token, Break)
        if isinstance(token, Close):
            depth -= 1
            key = (opening.text != "[", column - begin)
            if depth == 0 and has_break and key > best_key:
                best, best_key = (start, index), key
    return best


def _parts(inside: Sequence[Token]) -> list[list[Token]]:
    """What stands between brackets, divided at its loosest breaks."""
    ranks = [token.rank for token in _outermost(inside) if isinstance(token, Break)]
    if not ranks:
        return [list(inside)]
    loosest = min(ranks)
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in inside:
        if isinstance(token, Open | Close):
            depth += 1 if isinstance(token, Open) else -1
        if depth == 0 and isinstance(token, Break) and token.rank == loosest:
            parts[-1].append(token.before)
            parts.append([token.after])
        else:
            parts[-1].append(token)
    return parts
