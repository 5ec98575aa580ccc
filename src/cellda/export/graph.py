"""The module that is exported: from raw pixels to class probabilities, by the classifier's own methods."""

import json
from collections.abc import Collection
from copy import deepcopy

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from cellda.errors import ConfigurationError
from cellda.models.classifier import CellClassifier
from cellda.models.folding import Folded
from cellda.models.heads.base import Head
from cellda.runtime.versions import versions

SECOND_VIEW = "second_view"
"""The only part that may be left out."""
USE = "Research use only: not a medical device, not for diagnosis."
INPUT = "uint8 (N, 3, S, S), RGB, 0 to 255, one framed cell an image; S is input_size"
OUTPUT = "float32 (N, classes), probabilities in the order of classes"


class Graph(nn.Module):
    """What `CellClassifier.probabilities` computes, on the CPU: normalizer, folded encoder, views, head, softmax.

    Pixels are bytes, as in files: the library rounds every image to 8 bits, and bytes cannot be scaled wrongly.

    Args:
        model: The classifier; it is copied.
        without: Parts to leave out, if it has them: `"second_view"`.

    Raises:
        ConfigurationError: If the classifier cannot be a graph; the message says why.
    """

    def __init__(self, model: CellClassifier, without: Collection[str] = ()) -> None:
        super().__init__()
        refuse(model, without)
        own = deepcopy(model).cpu().eval()
        self.left_out = SECOND_VIEW if own.second_view is not None else ""
        own.second_view = None
        self.identity = model.identity
        self.library = own.network()
        self.model = own.folded().eval()
        if isinstance(self.model.encoder, Folded):
            self.model.encoder = self.model.encoder.plain()

    def forward(self, pixels: UInt8[Tensor, "n 3 s s"]) -> Float[Tensor, "n classes"]:
        """Class probabilities of raw pixels, as `OUTPUT` and `INPUT` say."""
        return self.model.probabilities(pixels)

    @property
    def side(self) -> int:
        """Side of the input in pixels."""
        return self.model.backbone.image_size

    @property
    def metadata(self) -> dict[str, str]:
        """What a user of the file must know, by name; lists and settings are JSON."""
        model = self.model
        return {
            "classes": json.dumps(model.classes),
            "input": INPUT,
            "input_size": str(self.side),
            "output": OUTPUT,
            "framing": json.dumps(model.framing_spec.model_dump(mode="json")),
            "normalizer": json.dumps(model.normalizer_spec.model_dump(mode="json")),
            "normalizer_inside": "true",
            "views": "8" if model.symmetric else "1",
            "present": json.dumps(model.present or model.classes),
            "left_out": self.left_out,
            "backbone": model.backbone.name,
            "model_identity": self.identity,
            "cellda_version": versions("cellda")["cellda"],
            "use": USE,
        }


def refuse(model: CellClassifier, without: Collection[str]) -> None:
    """Refuse a classifier that cannot be a graph.

    Raises:
        ConfigurationError: If it cannot, or a part that is to be left out is unknown or not there.
    """
    odd = [part for part in without if part != SECOND_VIEW]
    if odd:
        raise ConfigurationError(
            f"'{odd[0]}' cannot be left out of an export; the only part that can is {SECOND_VIEW}."
        )
    if without and model.second_view is None:
        raise ConfigurationError(f"This model has no {SECOND_VIEW} to leave out.")
    if model.second_view is not None and SECOND_VIEW not in without:
        raise ConfigurationError(
            "This model has a second_view: trees on measurements of the nucleus, which are taken by code that no graph can "
            "hold. Export the network alone with --without second_view (its probabilities then differ from those of "
            "`cellda predict`), or adapt without the step second_view."
        )
    for head in (part for part in model.head.modules() if isinstance(part, Head)):
        if head.transductive:
            raise ConfigurationError(
                f"This model's head '{head.name}' is transductive: it compares an image with stored ones of the target, and "
                "answers differently for an image that is one of them, which another runtime cannot tell reliably. Adapt with "
                "another method to export."
            )
    if model.normalizer.needs_fit:
        raise ConfigurationError(
            "The normalizer of this model was not fitted; export a model that was trained."
        )
