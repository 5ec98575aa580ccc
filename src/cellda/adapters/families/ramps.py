"""How the weight of an additional loss term grows during training."""

import math

RAMP = 0.4
"""Share of all steps after which a ramp reaches its full height."""


def ramp_up(progress: float) -> float:
    """`exp(-5 (1 - t)^2)` with `t` from 0 to 1 over the first `RAMP` of all steps (Tarvainen and Valpola 2017).

    Args:
        progress: Share of all steps completed.
    """
    return math.exp(-5 * (1 - min(progress / RAMP, 1)) ** 2)


def rising(progress: float) -> float:
    """`2 / (1 + exp(-10 progress)) - 1`: from 0 to nearly 1, half way after a tenth of all steps (Ganin et al. 2016).

    Args:
        progress: Share of all steps completed.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1
