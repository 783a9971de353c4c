"""Arrays that ops are called with in the tests."""

import numpy as np

rng = np.random.default_rng(0)
A = rng.standard_normal((3, 4))
B = rng.standard_normal((4, 2))
S = rng.standard_normal((3, 3))
x = rng.standard_normal(4)
y = rng.standard_normal(4)
b = rng.standard_normal((2, 3, 4))
long = rng.standard_normal(83)
bs = rng.standard_normal((2, 1, 3, 3))
spd = S @ S.T + np.eye(3)
