"""The words of the language: tokens, logical lines, and the tables that name them."""

from typing import Final

from tpc.dsl.source import Source, Span


class Token:
    """One word. `type` is a terminal of `grammar.lark`, `text` the normalised spelling."""

    __slots__ = ("type", "text", "start", "end", "source")

    def __init__(self, type: str, text: str, start: int, end: int, source: Source) -> None:
        self.type = type
        self.text = text
        self.start = start
        self.end = end
        self.source = source

    @property
    def span(self) -> Span:
        return Span(self.source, self.start, self.end)

    @property
    def written(self) -> str:
        """The spelling in the source."""
        return self.source.text[self.start : self.end]

    def __repr__(self) -> str:
        return f"{self.type}({self.text!r})"


class Line:
    """A logical line: its tokens without NEWLINE, and the width of its indentation.

    `broken` says that a fault in it is reported and that there is no sense in parsing it.
    """

    __slots__ = ("indent", "tokens", "broken")

    def __init__(self, indent: int, tokens: list[Token], broken: bool) -> None:
        self.indent = indent
        self.tokens = tokens
        self.broken = broken

    @property
    def span(self) -> Span:
        first, last = self.tokens[0], self.tokens[-1]
        return Span(first.source, first.start, last.end)


# word -> (terminal, text)
KEYWORDS: Final[dict[str, tuple[str, str]]] = {
    **{
        word: (word.upper(), word)
        for word in [
            "def",
            "const",
            "use",
            "return",
            "repeat",
            "until",
            "scan",
            "in",
            "if",
            "elif",
            "else",
            "where",
            "is",
            "and",
            "within",
            "on",
        ]
    },
    "or": ("OP", "or"),
    "not": ("PREFIX", "not"),
}

# sign -> (terminal, text). A `+` or `-` where an operand has to begin is a PREFIX instead.
SIGNS: Final[dict[str, tuple[str, str]]] = {
    **{o: ("OP", o) for o in ("+", "-", "*", "/", "@", "\\", "^", "==", "!=", "<", "<=", ">", ">=", "⊗")},
    "·": ("OP", "*"),
    "⋅": ("OP", "*"),
    "−": ("OP", "-"),
    "≤": ("OP", "<="),
    "≥": ("OP", ">="),
    "≠": ("OP", "!="),
    "∈": ("IN", "in"),
    "ᵀ": ("PRIME", "'"),
    "~=": ("APPROX", "~="),
    "≈": ("APPROX", "~="),
    "=": ("EQ", "="),
    "->": ("ARROW", "->"),
    ":": ("COLON", ":"),
    ",": ("COMMA", ","),
    "...": ("DOTS", "..."),
    "|-": ("TURNSTILE", "|-"),
    "=>": ("RULE_ARROW", "=>"),
    "<=>": ("RULE_ARROW", "<=>"),
    "~>": ("RULE_ARROW", "~>"),
}

# signs of other languages that can only have been meant as one of ours
HABITS: Final[dict[str, tuple[str, str]]] = {
    "**": ("OP", "^"),
    ".^": ("OP", "^"),
    ".*": ("OP", "*"),
    "./": ("OP", "/"),
    ":=": ("EQ", "="),
    "&&": ("AND", "and"),
    "&": ("AND", "and"),
    "||": ("OP", "or"),
    "|": ("OP", "or"),
    "!": ("PREFIX", "not"),
    "<>": ("OP", "!="),
    "===": ("OP", "=="),
    "%*%": ("OP", "@"),
}

# tokens after which an operand is complete
OPERAND_END: Final = frozenset({"NAME", "NUMBER", "STRING", "PRIME", "RPAR", "RSQB", "AXIS", "DOTS"})

# tokens that begin a value
VALUES: Final = frozenset({"NAME", "NUMBER", "STRING", "LPAR", "LSQB"})

# tokens that begin what stands outside of all functions
ITEMS: Final = frozenset({"DEF", "STRUCTURE", "CONST", "USE"})

# tokens that open a block when the line ends with `:`
HEADS: Final = frozenset({"DEF", "STRUCTURE", "REPEAT", "SCAN", "IF", "ELIF", "ELSE"})

MAX_CHARACTERS: Final = 1 << 20
MAX_LINE: Final = 20_000
MAX_NESTING: Final = 200
MAX_CHAIN: Final = 2_000
MAX_DIGITS: Final = 400
MAX_BLOCKS: Final = 18  # Python's own limit for loops is 20
MAX_ERRORS: Final = 20
