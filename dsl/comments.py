"""Where the comments of a file stand among its statements, and where lines were left blank."""

from bisect import bisect_right

from tpc.dsl.source import Span
from tpc.dsl.syntax import Comment, Module


class Comments:
    """The comments of a module, handed out once each, in the order of the text."""

    def __init__(self, module: Module) -> None:
        self.text = module.source.text
        self.all = sorted(module.comments, key=lambda comment: comment.span.start)
        self.next = 0

    def before(self, offset: int) -> list[Comment]:
        """What is left of the comments that begin before an offset."""
        start = self.next
        while self.next < len(self.all) and self.all[self.next].span.start < offset:
            self.next += 1
        return self.all[start : self.next]

    def trailing(self, limit: int) -> list[Comment]:
        """The next comments that share a line with code, up to an offset."""
        start = self.next
        while self._upcoming(limit) and self.all[self.next].trailing:
            self.next += 1
        return self.all[start : self.next]

    def deeper(self, limit: int, column: int) -> list[Comment]:
        """The next comments, up to an offset, that begin to the right of a column."""
        start = self.next
        while self._upcoming(limit) and column_of(self.all[self.next].span) > column:
            self.next += 1
        return self.all[start : self.next]

    def find_last(self, word: str, start: int, end: int) -> int:
        """Where in `[start, end)` a word stands for the last time outside of comments, else `start`."""
        at = self.text.rfind(word, start, end)
        while at >= 0:
            before = bisect_right(self.all, at, key=lambda comment: comment.span.start)
            if before == 0 or self.all[before - 1].span.end <= at:
                return at
            at = self.text.rfind(word, start, self.all[before - 1].span.start)
        return start

    def blank_before(self, offset: int) -> bool:
        """Whether the line above the one at an offset is blank."""
        line = self.text.rfind("\n", 0, offset) + 1
        above = self.text.rfind("\n", 0, max(line - 1, 0)) + 1
        return line > 0 and not self.text[above:line].strip()

    def _upcoming(self, limit: int) -> bool:
        return self.next < len(self.all) and self.all[self.next].span.start < limit


def column_of(span: Span) -> int:
    """The column in which a span begins, from 1."""
    return span.source.position(span.start)[1]
