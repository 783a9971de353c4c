"""What a kernel costs on this machine, in seconds: measured by `tpc calibrate`, predicted without measuring."""

from tpc.passes.cost.prediction import Profile, profile
from tpc.passes.cost.weights import weight

__all__ = ["Profile", "profile", "weight"]
