"""Derivatives beside those of torch and jax: `python -m benchmarks derivatives`."""
