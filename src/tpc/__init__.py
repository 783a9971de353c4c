"""tpc: a small language for tensor programs and a compiler that treats them as mathematics."""

from pathlib import Path

# In a checkout whose git made no links (Windows), the folders are found at the top of the tree.
if not (Path(__file__).parent / "dsl").is_dir():
    __path__.append(str(Path(__file__).parents[2]))
