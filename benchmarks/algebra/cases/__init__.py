"""The cases, by group."""

from __future__ import annotations

from benchmarks.algebra.cases import applications, contractions, laab, lamp, patterns, structured, symbolic, traps

GROUPS = (
    laab.GROUP,
    lamp.GROUP,
    applications.GROUP,
    patterns.GROUP,
    symbolic.GROUP,
    structured.GROUP,
    contractions.GROUP,
    traps.SOUNDNESS,
    traps.DIAGNOSTICS,
)
