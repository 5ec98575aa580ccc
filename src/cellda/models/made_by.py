"""Everything that the rows of a prediction depend on, so that an interrupted one is continued only by the same."""

from collections.abc import Sequence
from typing import Any

from cellda.models.classifier import CellClassifier
from cellda.models.heads.base import Head
from cellda.models.inputs import Picture
from cellda.plugins.code_digest import member_code, shared_code
from cellda.runtime.contents import state_of
from cellda.runtime.store import digest
from cellda.runtime.versions import versions

LIBRARIES = (
    "imagecodecs",
    "kornia",
    "numpy",
    "pillow",
    "pillow-heif",
    "scikit-image",
    "scipy",
    "tifffile",
    "timm",
    "torch",
    "torchvision",
)
"""Distributions that decode images or compute predictions; some are optional."""


def made_by(model: CellClassifier, pictures: Sequence[Picture], bits: int | None) -> dict[str, Any]:
    """What makes the rows of a prediction, as plain data: equal values make equal rows.

    Args:
        model: The model, as it is in memory, on the device that predicts.
        pictures: What is predicted; a file stands for its state, by which a change since an earlier call is noticed.
        bits: Significant bits that the camera records, if they were given.
    """
    states = [[one.name, one.box, state_of(str(one.path)).hex() if one.path else ""] for one in pictures]
    heads = [member_code(type(part)) for part in model.head.modules() if isinstance(part, Head)]
    return {
        "model": model.identity,
        "present": model.present,
        "images": digest({"images": states}),
        "bits": bits,
        "device": str(model.mean.device),
        # All of cellda: a change ends an interrupted prediction more often than it must, and never too seldom.
        "code": digest(
            {
                "cellda": shared_code([""]),
                "members": [model.normalizer_spec.code, model.framing_spec.code, *heads],
            }
        ),
        "versions": versions("cellda", *LIBRARIES),
    }
