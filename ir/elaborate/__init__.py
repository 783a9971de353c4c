"""Syntax to programs: names are resolved, types and sizes checked, every function becomes a graph."""
