"""The canonical text of trees: what `tpc fmt` writes, and how expressions stand in messages.

Only the tree, the comments and single blank lines are kept of how the text was laid out, so formatting
twice changes nothing. Indentation is four spaces, lines are at most 100 wide where brackets allow it, and
a blank line stands around every definition. Comments keep their place; one inside of a statement moves
above it.
"""

from tpc.dsl.comments import Comments, column_of
from tpc.dsl.layout import INDENT, Token, flat, lay_out
from tpc.dsl.lines import (
    branch_tokens,
    budget_tokens,
    const_tokens,
    def_tokens,
    rule_tokens,
    statement_tokens,
    structure_tokens,
    use_tokens,
)
from tpc.dsl.spelling import item_tokens, type_tokens
from tpc.dsl.syntax import (
    Broken,
    Budget,
    Comment,
    Const,
    Def,
    Expr,
    If,
    Item,
    Module,
    Repeat,
    Rule,
    RuleFact,
    Scan,
    Statement,
    Structure,
    TypeExpr,
    Use,
)

_BLOCKS = (Def, Structure)  # around which there is a blank line


def format_expression(e: Expr) -> str:
    """The expression on one line, such as `inv(X' @ X) @ y`; a tuple stands in parentheses."""
    return flat(item_tokens(e))


def format_type(t: TypeExpr) -> str:
    """Such as `f64[n, m]`, `f64` or `[n, m]`."""
    return flat(type_tokens(t))


def format_rule(rule: Rule | RuleFact) -> str:
    """Such as `rule name: inv(Q) => Q' where orthogonal(Q)`, on one line."""
    return flat(rule_tokens(rule))


def format_module(m: Module) -> str:
    """The whole file with its comments, ending in a newline; empty for an empty file.

    The file must have been read without errors.
    """
    printer = _Printer(m)
    printer.module(m.items)
    return "".join(f"{line}\n" for line in printer.lines)


class _Printer:
    """Writes statements in order, with the comments that belong to them."""

    def __init__(self, m: Module) -> None:
        self.comments = Comments(m)
        self.end = len(m.source.text) + 1
        self.lines: list[str] = []
        self.first = True  # nothing stands above in this block, so no blank line may

    def module(self, items: list[Item]) -> None:
        previous: Item | None = None
        for index, item in enumerate(items):
            begins = isinstance(item, (Budget, *_BLOCKS)) and not isinstance(previous, Budget)
            leading = self.comments.before(item.span.start)
            starts = [*(comment.span.start for comment in leading), item.span.start]
            # The comments that stand directly above a definition go with it.
            attached = len(leading)
            while attached and not self.comments.blank_before(starts[attached]):
                attached -= 1
            for number, comment in enumerate(leading):
                after = number == 0 and isinstance(previous, _BLOCKS)
                self.comment(comment, 0, after or (number == attached and begins))
            blank = begins and attached == len(leading)
            self.blank(item.span.start, blank or (not leading and isinstance(previous, _BLOCKS)))
            following = items[index + 1].span.start if index + 1 < len(items) else self.end
            self.item(item, following)
            previous = item
        for number, comment in enumerate(self.comments.before(self.end)):
            self.comment(comment, 0, number == 0 and isinstance(previous, _BLOCKS))

    def item(self, item: Item, following: int) -> None:
        match item:
            case Use():
                self.simple(item, use_tokens(item), 0, following)
            case Const():
                self.simple(item, const_tokens(item), 0, following)
            case Budget():
                self.simple(item, budget_tokens(item), 0, following)
            case Def(short=True):
                self.simple(item, def_tokens(item), 0, following)
            case Def():
                self.header(item.span.start, def_tokens(item), 0, item.body)
                self.block(item.body, INDENT, column_of(item.span), following)
            case Structure(short=True):
                self.simple(item, structure_tokens(item), 0, following)
            case Structure():
                self.header(item.span.start, structure_tokens(item), 0, item.body)
                self.block(item.body, INDENT, column_of(item.span), following)
            case Broken(span=span):
                self.simple(item, [span.text], 0, following)

    def block(self, statements: list[Statement], indent: int, column: int, limit: int) -> None:
        """Statements up to an offset, with the comments there that stand deeper than the block's header."""
        for index, statement in enumerate(statements):
            for comment in self.comments.before(statement.span.start):
                self.comment(comment, indent)
            self.blank(statement.span.start)
            following = statements[index + 1].span.start if index + 1 < len(statements) else limit
            self.statement(statement, indent, following)
        for comment in self.comments.deeper(limit, column):
            self.comment(comment, indent)

    def statement(self, statement: Statement, indent: int, following: int) -> None:
        tokens = statement_tokens(statement)
        match statement:
            case Repeat(body=body) | Scan(body=body):
                self.header(statement.span.start, tokens, indent, body)
                self.block(body, indent + INDENT, column_of(statement.span), following)
            case If():
                self.branches(statement, indent, following)
            case _:
                self.simple(statement, tokens, indent, following)

    def branches(self, statement: If, indent: int, following: int) -> None:
        parts: list[tuple[list[Token], list[Statement], int]] = []  # header, block, and where the header begins
        for condition, body in statement.branches:
            word = "elif" if parts else "if"
            start = self.branch_start(word, parts[-1][1], condition.span.start) if parts else statement.span.start
            parts.append((branch_tokens(word, condition), body, start))
        if statement.otherwise:
            start = self.branch_start("else", parts[-1][1], statement.otherwise[0].span.start)
            parts.append((["else:"], statement.otherwise, start))
        for index, (tokens, body, start) in enumerate(parts):
            for comment in self.comments.before(start):
                self.comment(comment, indent)
            self.header(start, tokens, indent, body)
            limit = parts[index + 1][2] if index + 1 < len(parts) else following
            self.block(body, indent + INDENT, column_of(statement.span), limit)

    def branch_start(self, word: str, above: list[Statement], limit: int) -> int:
        return self.comments.find_last(word, above[-1].span.start, limit)

    def simple(self, node: Item | Statement, tokens: list[Token], indent: int, following: int) -> None:
        """A statement without a block; of several comments on its lines, the last one stays at its end."""
        inside = self.comments.before(node.span.end)
        trailing = self.comments.trailing(following)
        for comment in [*inside, *trailing[:-1]]:
            self.comment_line(comment, indent)
        self.code(tokens, indent, trailing[-1:])

    def header(self, start: int, tokens: list[Token], indent: int, body: list[Statement]) -> None:
        colon = self.comments.find_last(":", start, body[0].span.start)
        for comment in self.comments.before(colon):
            self.comment_line(comment, indent)
        self.code(tokens, indent, self.comments.trailing(body[0].span.start))
        self.first = True

    def code(self, tokens: list[Token], indent: int, trailing: list[Comment]) -> None:
        self.lines += lay_out(tokens, indent)
        for comment in trailing:
            self.lines[-1] += f"  {comment.span.text.rstrip()}"
        self.first = False

    def comment(self, comment: Comment, indent: int, blank: bool = False) -> None:
        self.blank(comment.span.start, blank)
        self.comment_line(comment, indent)

    def comment_line(self, comment: Comment, indent: int) -> None:
        self.lines.append(" " * indent + comment.span.text.rstrip())
        self.first = False

    def blank(self, offset: int, always: bool = False) -> None:
        """A blank line where one was written above an offset, or in any case; never at the top of a block."""
        if not self.first and (always or self.comments.blank_before(offset)):
            self.lines.append("")
        self.first = False
