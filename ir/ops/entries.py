"""What stays true of entries that are only moved, repeated or chosen: bounds, and with them signs."""

from __future__ import annotations


def entries_of(operand: str, result: str = "this") -> str:
    """Lines of facts of a result all of whose entries are entries of an operand."""
    return f"""
        at_least({operand}, a) |- at_least({result}, a)
        at_most({operand}, a)  |- at_most({result}, a)
        nonzero({operand})     |- nonzero({result})
    """
