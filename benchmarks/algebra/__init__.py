"""Linear algebra as people write it: how near tpc comes to what an expert would have written.

`case.py` says what a case is, `cases/` has them by group, `contenders.py` runs them, `measure.py` takes the time,
`report.py` and `plot.py` show it, `random_programs.py` draws more of them, `command.py` is the command.
"""
