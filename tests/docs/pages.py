"""Pages of documentation: their fenced blocks are run, and what they show is compared with what comes out.

- `tp`            a program that checks without errors; with `error=E0203` it must give that error and no other;
                  with a name such as `ridge.tp` it is saved under it, in the folder of the page
- `python`        is run; all blocks of a page share their names
- `text`          behind one of these: what it says, prints or raises
- `console`       lines `$ tpc ...` are run, and `$ cat FILE`; the lines below are what they print
- anything else   is left alone

In what is shown, a line `...` stands for any lines, and `...` in a line for any characters.
"""

import io
import re
import shlex
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpc.dsl.diagnostics import TpcError
from tpc.dsl.render import render_text
from tpc.dsl.source import Source
from tpc.ir.elaborate.module import Checked, check

_FENCE = re.compile(r"^```(\w*)(?:[ ]([^\n]*))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, its text, and where it stands in the page."""

    kind: str
    words: tuple[str, ...]
    text: str
    line: int
    start: int
    end: int


def blocks_of(page: str) -> list[Block]:
    return [
        Block(
            found[1],
            tuple((found[2] or "").split()),
            found[3],
            page.count("\n", 0, found.start()) + 1,
            found.start(3),
            found.end(3),
        )
        for found in _FENCE.finditer(page)
    ]


def matches(shown: str, actual: str) -> bool:
    """Whether a text is as shown, with `...` for anything."""
    lines = []
    for line in shown.rstrip().split("\n"):
        if line.strip() == "...":
            lines.append(r"(?:[^\n]*\n)*?")
        else:
            lines.append(r"[^\n]*".join(map(re.escape, line.rstrip().split("..."))) + r"\n")
    text = "".join(line.rstrip() + "\n" for line in actual.rstrip().split("\n"))
    return re.fullmatch("".join(lines), text) is not None


def elided(shown: str, actual: str) -> str:
    """What comes out, with `...` for the parts that were left out of what was shown, where they can still be told."""
    wanted, lines = shown.rstrip().split("\n"), actual.rstrip().split("\n")
    for line in wanted:
        if "..." in line and line.strip() != "...":
            lines = [line if matches(line, other) else other for other in lines]
    for number, line in enumerate(wanted):
        before, after = wanted[:number][-1:], wanted[number + 1 :][:1]
        if line.strip() == "..." and all(part in lines for part in (*before, *after)):
            start = lines.index(before[0]) + 1 if before else 0
            end = lines.index(after[0], start) if after and after[0] in lines[start:] else len(lines)
            lines[start:end] = [line]
    return "\n".join(lines) + "\n"


def checked(text: str, name: str, folder: Path) -> Checked:
    """The program with its diagnostics; `use` and `load` reach into the folder."""
    from tpc.files import FolderFiles

    return check(Source(text, name), FolderFiles(folder))


class Page:
    """A page while it is run; `faults` are those found so far, `rewritten` the page with what came out."""

    def __init__(self, path: Path, folder: Path, name: str = "example.tp") -> None:
        self.path, self.folder, self.name = path, folder, name
        self.text = path.read_text(encoding="utf-8")
        self.blocks = blocks_of(self.text)
        self.names: dict[str, Any] = {"__name__": "page"}
        self.faults: list[str] = []
        self.edits: list[tuple[int, int, str]] = []

    def run(self) -> None:
        for number, block in enumerate(self.blocks):
            following = self.blocks[number + 1] if number + 1 < len(self.blocks) else None
            shown = following if following is not None and self.is_answer(block, following) else None
            if block.kind == "tp":
                self.program(block, shown)
            elif block.kind == "python":
                self.compare(shown, self.python(block, shown is not None), block)
            elif block.kind == "console":
                self.console(block)

    def is_answer(self, block: Block, following: Block) -> bool:
        between = self.text[block.end : following.start]
        return following.kind == "text" and between.count("\n") <= 4 and not re.search(r"^#", between, re.MULTILINE)

    def fault(self, block: Block, what: str) -> None:
        self.faults.append(f"{self.path.name}:{block.line}: {what}")

    def compare(self, shown: Block | None, actual: str | None, block: Block) -> None:
        """Compare what a block says with what is shown; None if it failed, which is told already."""
        if actual is None:
            return
        if shown is None:
            if actual:
                self.fault(block, f"prints what is not shown:\n{actual}")
        elif not matches(shown.text, actual):
            self.edits.append((shown.start, shown.end, elided(shown.text, actual)))
            self.fault(shown, f"shown:\n{shown.text}\nbut it is:\n{actual}")

    # ---- kinds of blocks

    def program(self, block: Block, shown: Block | None) -> None:
        name, wanted = self.name, None
        for word in block.words:
            if word.endswith(".tp"):
                name = word
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).write_text(block.text, encoding="utf-8")
            elif word.startswith("error="):
                wanted = word.removeprefix("error=")
        found = checked(block.text, name, self.folder).diagnostics
        said = "\n".join(render_text(d) for d in found.items)
        codes = {d.code for d in found.errors}
        if shown is not None:
            self.compare(shown, said, block)
        if (shown is None or wanted) and codes != ({wanted} if wanted else set()):
            self.fault(block, f"should give {wanted or 'no error'}, but gives {sorted(codes)}:\n{said}")

    def python(self, block: Block, may_raise: bool) -> str | None:
        printed = io.StringIO()
        code = compile("\n" * block.line + block.text, str(self.path), "exec")
        with redirect_stdout(printed):
            try:
                exec(code, self.names)  # noqa: S102  (a page of this repository)
            except TpcError as error:
                said = "\n".join(render_text(d) for d in error.diagnostics)
                if not may_raise:
                    self.fault(block, said)
                    return None
                print(said)
            except Exception as error:
                self.fault(block, repr(error))
                return None
        return printed.getvalue()

    def console(self, block: Block) -> None:
        said = []
        for part in re.split(r"^(?=\$ )", block.text, flags=re.MULTILINE):
            if not part.strip():
                continue
            command, _, shown = part.partition("\n")
            while command.endswith("\\"):
                more, _, shown = shown.partition("\n")
                command = f"{command[:-1].rstrip()} {more.strip()}"
            actual = self.command(block, command.removeprefix("$ "))
            if actual is None or not shown.strip() or matches(shown, actual):
                said.append(part)
                continue
            self.fault(block, f"{command}\nshown:\n{shown}\nbut it is:\n{actual}")
            said.append(part[: len(part) - len(shown)] + elided(shown, actual))
        if "".join(said) != block.text:
            self.edits.append((block.start, block.end, "".join(said)))

    def command(self, block: Block, command: str) -> str | None:
        from click.testing import CliRunner

        from tpc.cli import cli

        program, *arguments = shlex.split(command, comments=True)
        if program == "cat":
            return "".join((self.folder / a).read_text(encoding="utf-8") for a in arguments)
        if program != "tpc":
            self.fault(block, f"`{program}` is not run here; is this block no `sh`?")
            return None
        fails = re.search(r"#\s*exit (\d)", command)
        outcome = CliRunner().invoke(cli, arguments, prog_name="tpc")
        if outcome.exit_code != (int(fails[1]) if fails else 0):
            self.fault(block, f"{command}\nends with {outcome.exit_code}:\n{outcome.output}{outcome.exception!r}")
            return None
        return outcome.output

    # ---- the outcome

    @property
    def rewritten(self) -> str:
        text = self.text
        for start, end, piece in sorted(self.edits, reverse=True):
            text = text[:start] + piece + text[end:]
        return text


def faults_of(path: Path, folder: Path, update: bool = False) -> list[str]:
    """What is not true in a page; with `update`, after what it shows was rewritten by what comes out."""
    page = Page(path, folder)
    page.run()
    if update and page.edits:
        path.write_text(page.rewritten, encoding="utf-8")
        page = Page(path, folder)
        page.run()
    return page.faults
