"""Two stages: what depends on parameters and constants alone is computed ahead of calls, the rest at each call.

`times` says how often a value is used before it changes, `split` takes a program apart.
"""
