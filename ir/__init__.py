"""Syntax to typed graph: dims, types, facts, ops, programs, their text form, verifier and reference interpreter."""
