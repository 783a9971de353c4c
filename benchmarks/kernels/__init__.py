"""`python -m benchmarks kernels`: fused loops in native code beside numpy, numba, torch, torch.compile, jax.jit, KeOps.

A kernel is one record in `cases`; `peers` makes each way ready to be called; `command` times them in turns.
"""
