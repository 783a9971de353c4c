"""Loops that carry a state along by a linear recurrence, which can be made for all passes at once.

`linear` reads the recurrence off one pass, `states` makes all the states, `attention` what is read off matrices that
grow by outer products, without the matrices, `convolution` what weights that do not change read off states that decay
alike in all passes, without the states. `passes.vectorise` makes the factors and terms of all passes, and what
follows from the states.
"""
