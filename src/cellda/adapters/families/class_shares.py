"""Class shares of unlabelled images."""

from torch import Tensor

ITERATIONS = 1000
TOLERANCE = 1e-8


def estimate(probabilities: Tensor, before: Tensor, smoothing: float) -> Tensor:
    """Class shares `(classes,)` of images with these probabilities `(N, classes)`, from a head trained for `before`."""
    shares = before
    for _ in range(ITERATIONS):
        joint = probabilities * (shares / before)
        found = (joint / joint.sum(1, keepdim=True)).mean(0) + smoothing / len(before)
        found = (found / found.sum()).clamp_min(1e-12)
        moved = float((found - shares).abs().max())
        shares = found
        if moved < TOLERANCE:
            break
    return shares
