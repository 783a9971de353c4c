"""From equal forms to a plan: kernels, formats and the order of contractions, by predicted time."""
