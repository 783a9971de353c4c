"""A line with its first unexpected token, for those who find out what was meant."""

from tpc.dsl.source import Source, Span
from tpc.dsl.tokens import Line, Token


class Place:
    """The line, the token, and what the grammar expected in its place."""

    def __init__(self, source: Source, line: Line, token: Token, expected: set[str], start: str, inside: bool) -> None:
        self.source = source
        self.line = line
        self.tokens = line.tokens
        self.token = token
        self.expected = expected
        self.start = start
        self.inside = inside  # in the body of a function
        self.at = next((i for i, t in enumerate(line.tokens) if t is token), len(line.tokens))
        self.before = self.tokens[self.at - 1] if self.at else None
        self.after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        self.head = self.tokens[0] if self.tokens else token
        self.at_end = token.type in ("NEWLINE", "$END")

    @property
    def span(self) -> Span:
        """The token; at the end of a line what stands there last."""
        if self.at_end and self.before is not None:
            return self.before.span
        size = len(self.source.text)
        return Span(self.source, min(self.token.start, size), min(self.token.end, size))

    def depth(self) -> int:
        """Brackets open before the token."""
        opened = sum(t.type in ("LPAR", "LSQB") for t in self.tokens[: self.at])
        return opened - sum(t.type in ("RPAR", "RSQB") for t in self.tokens[: self.at])
