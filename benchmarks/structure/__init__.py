"""Structured matrices: what is gained by the parts over the dense matrix, and over libraries of such matrices."""
