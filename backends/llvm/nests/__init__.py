"""Statements as loop nests in LLVM IR."""
