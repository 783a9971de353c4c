"""What is said to users: one kind of message, and the two kinds of error that carry it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tpc.dsl.source import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Label:
    """A place and what is to be said of it. The first label of a diagnostic is the place of the fault."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A message in parts, so that text, JSON and editors can show it their own way.

    The title stands alone (lowercase, no full stop). Labels say what is there, notes say why, and only `help`
    says what to do. `code` is `E....` or `W....` and has a section in `docs/errors.md`.
    """

    code: str
    title: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None

    @property
    def severity(self) -> Severity:
        return "warning" if self.code.startswith("W") else "error"


@dataclass
class Diagnostics:
    """A growing list of messages; checking goes on after an error, so that all of them are reported."""

    items: list[Diagnostic] = field(default_factory=list)

    def add(
        self,
        code: str,
        title: str,
        *labels: Label | Span,
        notes: Sequence[str] = (),
        help: str | None = None,
    ) -> None:
        self.items.append(diagnostic(code, title, *labels, notes=notes, help=help))

    @property
    def errors(self) -> list[Diagnostic]:
        return [d for d in self.items if d.severity == "error"]

    @property
    def warnings(self) -> list[Diagnostic]:
        return [d for d in self.items if d.severity == "warning"]

    def raise_errors(self) -> None:
        """Raise `TpcError` with everything that was found if any of it is an error."""
        if self.errors:
            raise TpcError(self.items)


def diagnostic(
    code: str, title: str, *labels: Label | Span, notes: Sequence[str] = (), help: str | None = None
) -> Diagnostic:
    placed = tuple(Label(at) if isinstance(at, Span) else at for at in labels)
    return Diagnostic(code, title, placed, tuple(notes), help)


class TpcError(Exception):
    """The user's program, data or options are wrong; `diagnostics` says where and what to do."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(*[d.title for d in self.diagnostics if d.severity == "error"][:1])

    def __reduce__(self) -> tuple[type, tuple[tuple[Diagnostic, ...]]]:
        """For errors in other processes, which are pickled on their way here."""
        return TpcError, (self.diagnostics,)

    def __str__(self) -> str:
        from tpc.dsl.render import render_text

        return "\n" + "\n".join(render_text(d) for d in self.diagnostics)


class InternalError(Exception):
    """A fault of tpc itself, with the name of the stage in which it showed."""

    def __init__(self, stage: str, message: str) -> None:
        self.stage, self.message = stage, message
        super().__init__(f"{stage}: {message}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return InternalError, (self.stage, self.message)


def fail(code: str, title: str, *labels: Label | Span, notes: Sequence[str] = (), help: str | None = None) -> TpcError:
    """The error to raise for a single message."""
    return TpcError([diagnostic(code, title, *labels, notes=notes, help=help)])
