"""Identifiers of generated code: ASCII, no keyword, no builtin, no module, each used once."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata

MODULES = ("np", "torch", "scipy", "math", "pathlib", "device")
RESERVED = frozenset((*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *MODULES))


def spelled(name: str) -> str:
    """The name in letters that generated code may hold: greek letters by their name, the rest as `_`.

    The result starts with a letter, so that it is never a helper or a dunder name.
    """
    text = "".join(_letter(c) for c in unicodedata.normalize("NFKD", name)[:200])
    text = re.sub(r"_+", "_", text).strip("_")[:60]
    if not text or not text[0].isalpha():
        text = f"v{text}"
    return f"{text}_" if text in RESERVED else text


def _letter(c: str) -> str:
    if c.isascii():
        return c if c.isalnum() else "_"
    if unicodedata.combining(c):
        return ""
    words = unicodedata.name(c, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        return words[words.index("LETTER") + 1].lower()
    return "_"


def words(text: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(text.split())


class Names:
    """Names of one function; each is given out once."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        self.taken = set(taken)
        self._count = 0

    def fresh(self, wanted: str) -> str:
        """The wanted name, or with a number behind it where it is taken."""
        base = name = spelled(wanted)
        number = 1
        while name in self.taken:
            number += 1
            name = f"{base}_{number}" if base[-1].isdigit() else f"{base}{number}"
        self.taken.add(name)
        return name

    def temporary(self) -> str:
        """A fresh name for a value that has none."""
        self._count += 1
        return self.fresh(f"t{self._count}")
