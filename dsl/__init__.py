"""Text to syntax: one grammar for programs, printed IR, op lines and rules; spans, diagnostics, formatter."""
