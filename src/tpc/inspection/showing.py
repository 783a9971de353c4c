"""An inspection as text, as HTML and as JSON."""

from __future__ import annotations

from html import escape
from math import isfinite
from typing import Any

import numpy as np

from tpc.inspection.finding import Finding, Inspection

SHOWN = 6  # parts of one finding


def text(found: Inspection) -> str:
    """What was found, one finding a line, and below it what is to be stored."""
    lines = [found.declaration]
    lines += [f"  note: {note}" for note in found.notes]
    if found.condition is not None:
        lines.append(f"  condition: {_condition(found.condition)}")
    if not found.findings and not found.notes:
        lines.append(f"  no structure was found (relative error up to {found.tolerance:.0e})")
    for finding in found.findings:
        lines.append(f"  {finding.name}: {finding.about}{_error(finding)}")
        lines += [f"      {line}" for line in (_saving(found, finding), _parts(finding)) if line]
    return "\n".join(lines)


def html(found: Inspection) -> str:
    """A table for notebooks."""
    rows = "".join(
        f"<tr><td>{escape(f.name)}</td><td>{escape(f.about)}</td><td>{f.error:.1e}</td>"
        f"<td>{escape(', '.join(map(str, f.facts)) or f.formula)}</td><td>{found.gain(f):.3g}</td></tr>"
        for f in found.findings
    )
    words = ("structure", "what", "error", "declare or write", "times fewer operations")
    head = "".join(f"<th>{word}</th>" for word in words)
    notes = "".join(f"<p>{escape(note)}</p>" for note in found.notes)
    condition = "" if found.condition is None else f"<p>condition: {escape(_condition(found.condition))}</p>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else "<p>no structure</p>"
    return f"<div><pre>{escape(found.declaration)}</pre>{notes}{condition}{table}</div>"


def as_json(found: Inspection) -> dict[str, Any]:
    """Numbers and words, with the shapes of the parts."""
    condition = found.condition
    return {
        "name": found.name,
        "shape": list(found.shape),
        "dtype": found.dtype,
        "tolerance": found.tolerance,
        "declaration": found.declaration,
        "notes": list(found.notes),
        "condition": condition if condition is not None and isfinite(condition) else None,
        "singular": condition is not None and not isfinite(condition),
        "product": found.product,
        "solve": found.solve,
        "findings": [
            {
                "name": f.name,
                "about": f.about,
                "error": f.error,
                "facts": [str(fact) for fact in f.facts],
                "formula": f.formula,
                "parts": {key: list(np.shape(part)) for key, part in f.parts.items()},
                "product": f.product,
                "solve": f.solve,
                "gain": found.gain(f),
            }
            for f in found.findings
        ],
    }


def _condition(value: float) -> str:
    return f"about {value:.1e} (1-norm)" if isfinite(value) else "singular"


def _error(finding: Finding) -> str:
    return ", exactly" if finding.error == 0 else f", to {finding.error:.1e}"


def _saving(found: Inspection, finding: Finding) -> str:
    words = []
    if finding.product is not None and finding.product < found.product:
        words.append(f"A @ x: {finding.product:,} operations of {found.product:,}")
    if finding.solve is not None and found.solve is not None and finding.solve < found.solve:
        words.append(f"A \\ b: {finding.solve:,} of {found.solve:,}")
    return "; ".join(words)


def _parts(finding: Finding) -> str:
    if not finding.parts:
        return ""
    listed = [f"{key}[{', '.join(map(str, np.shape(part)))}]" for key, part in finding.parts.items()]
    more = f", and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    formula = finding.formula and ("" if "A[" in finding.formula else "A = ") + finding.formula + "   "
    return f"{formula}parts {', '.join(listed[:SHOWN])}{more}"
