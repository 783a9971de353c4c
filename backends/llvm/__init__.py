"""The LLVM backend: regions of a plan as native functions, the rest as the numpy backend writes it.

plan ──regions──▶ functions ──nests──▶ LLVM IR ──host──▶ object code ──entry──▶ callable
"""
