"""What a compiled program does, what it costs, and why it equals what was written.

account      what there is to say
approximations  what became of the budgets for errors
native       what of it is native code
text         for a terminal
latex        the derivation as a formula
record       as JSON
page         as one page of HTML
roofline     its kernels against the limits of the machine
why_not      why a rule is not used
advice       which facts, if they were declared, would pay
constants    what structure constants have that nobody told
"""

from tpc.explanation.account import Account, account
from tpc.explanation.text import text

__all__ = ["Account", "account", "text"]
