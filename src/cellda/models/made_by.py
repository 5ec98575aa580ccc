"""Everything that the rows of a prediction depend on, so that an interrupted one is continued only by the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cellda.errors import ConfigurationError
from cellda.models.classifier import CellClassifier
from cellda.models.heads.base import Head
from cellda.models.inputs import Picture
from cellda.plugins.code_digest import member_code, shared_code
from cellda.runtime.contents import state_of
from cellda.runtime.storage.store import digest
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


def check_maker(model: CellClassifier, record: Mapping[str, Any], file: Path) -> None:
    """Refuse predictions of another model. A model is narrowed to the classes that it was narrowed to when it made them.

    Args:
        model: The model.
        record: What was stored next to the predictions; empty if nothing was.
        file: The predictions, for the message.

    Raises:
        ConfigurationError: If another model made them, or this one has changed since.
    """
    made = record.get("made_by", {})
    if made.get("present"):
        model.with_present(made["present"])
    if "model" in made and made["model"] != model.identity:
        raise ConfigurationError(
            f"{file} was not predicted by this model, or the model has changed since: give the model that predicted it, or "
            "predict again."
        )
