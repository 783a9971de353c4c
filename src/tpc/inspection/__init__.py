"""`tpc inspect`: which structure a matrix has, found from its entries.

    subject.py       a matrix and what all families ask of it: its norm, its pattern, entries drawn at random
    finding.py       what is found: name, facts to declare, parts, error, operations
    entries.py ... conditions.py    one family of structures a file
    families.py      the list of all families, in the order in which they look
    search.py        `inspect`: from an array to an Inspection
    showing.py       an Inspection as text, HTML and JSON

A family looks at sampled entries or random probes first, which reject nearly every matrix at once. What is left is
compared with all entries: nothing is reported from samples alone.
"""
