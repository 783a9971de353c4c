"""Sparse operands: what comes in as scipy.sparse, and goes out so."""
