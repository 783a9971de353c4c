"""Values within a stated error: cheaper ones in their place, with a certificate.

projected.py    a structured array: parts that are stored, and what they mean
target.py       an array that may be approximated, how far, and how the distance is measured
projections/    arrays to structures, a family a file
values.py       what values are that depend on no input
keeping.py      what was found, kept for other processes
certificate.py  what is promised, and how it was shown
replacing.py    the pass: candidates within the budget, priced by what the whole program costs with them
"""
