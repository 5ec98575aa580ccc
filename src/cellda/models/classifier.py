"""The paper's model (Fig. 5): encoder, embedding and head, together with the normalizer of its images."""

import warnings
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float, Shaped
from safetensors import SafetensorError
from torch import Tensor, nn

from cellda.datasets.reading.decode import Bits
from cellda.errors import ConfigurationError, DataError
from cellda.framing.spec import FramingSpec
from cellda.imaging.symmetries import dihedral_views
from cellda.models import heads, saved
from cellda.models.adjustable import Adjustable
from cellda.models.description import Description, refuse
from cellda.models.encoder import build_encoder, encoder_width, pixel_statistics
from cellda.models.evidence import Evidence
from cellda.models.folding import Folded, Pairs, find_pairs, folded, sharing_copy
from cellda.models.heads.base import Head
from cellda.models.heads.saving import check_known, check_registered, session_heads
from cellda.models.inputs import pictures
from cellda.models.judged import Seen
from cellda.models.prediction import Prediction
from cellda.models.results import Network, results
from cellda.models.second_view import SecondView
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.runtime.device import plan_for
from cellda.runtime.given import path_of
from cellda.runtime.memory import keep_freed_memory
from cellda.taxonomies import DEFAULT, create
from cellda.text import counted


class CellClassifier(Adjustable):
    """Encoder -> linear embedding -> head; a new one has the paper's head (`heads.mlp`), which an adapter may replace.

    `forward` and `embed` take images that are already stain-normalized and have the model's size; `predict` takes raw images.

    Args:
        backbone: The encoder, its weights and the input size.
        normalizer: The stain normalizer of the images that this model is used on.
        classes: Class names in index order; by default those of the paper.
        weights: Overrides `backbone.weights`; `"none"` if a state dict is loaded afterwards.
        framing: The part of raw images that `predict` passes to the network; by default the whole image.

    Attributes:
        symmetric: Whether a cell is embedded as the mean over its eight flips and rotations, at eight times the cost; set by
            the adapter `tta`.
        seen: What the model has seen in training, for `predict` to say which images are unlike it; None if that is not known.
            It belongs to these weights: whoever changes them sets it to None.
        evidence: What is known of how good the model is; None if nothing is. It belongs to these weights too.

    Raises:
        ConfigurationError: If the weights cannot be obtained.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Backbone,
        normalizer: NormalizerSpec,
        classes: Sequence[str] | None = None,
        *,
        weights: str | None = None,
        framing: FramingSpec | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classes = tuple(create(DEFAULT).classes if classes is None else classes)
        self.encoder = build_encoder(backbone, weights=weights)
        self._pairs: Pairs | None = None  # found on first use
        self.embedding = nn.Linear(encoder_width(self.encoder), backbone.embedding)
        self.head: Head = heads.create("mlp", backbone.embedding, len(self.classes))
        self.normalizer_spec = normalizer
        self.normalizer = normalizer.build()
        self.framing_spec = framing or FramingSpec(name="none")
        self.symmetric = False
        self.second_view, self.calibration = None, None
        self.seen: Seen | None = None
        self.evidence: Evidence | None = None
        mean, std = pixel_statistics(self.encoder)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def embed(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Embeddings `(B, 128)` of stain-normalized images `(B, 3, H, W)` in [0, 1].

        In evaluation mode, a `symmetric` model returns means over the eight symmetries of the square.
        """
        images = (images - self.mean) / self.std
        if self.symmetric and not self.training:
            # One view after the other: a batch of all eight would need eight times the memory.
            views = torch.stack([self.encoder(view) for view in dihedral_views(images)])
            return self.embedding(views.mean(0))  # type: ignore[no-any-return]
        return self.embedding(self.encoder(images))  # type: ignore[no-any-return]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)` of stain-normalized images `(B, 3, H, W)` in [0, 1], by the network alone."""
        return self.head(self.embed(images))

    @torch.no_grad()
    def predict(self, images: Any, *, bits: Bits | None = None) -> Prediction:
        """Classify raw images: framing, resize, stain normalization, network, softmax.

        Args:
            images: One of these:

                - a folder, with all images in and below it; a pattern (`"cells/*.png"`); the path of a file;
                - any of these, Pillow images, arrays `(H, W, 3)` or tensors `(3, H, W)`, in a sequence or from a generator;
                - one Pillow image, or one array `(H, W, 3)` or `(N, H, W, 3)`;
                - a tensor `(3, H, W)` or `(N, 3, H, W)`.

                Pixels are RGB, uint8 or float in [0, 1], which are rounded to 8 bits as in files; sizes may differ. Arrays and
                tensors that already have the network's size are not judged by their size.
            bits: Significant bits that the camera records (10, 12 or 14), if files of 16 bits do not state them.

        Returns:
            Labels, probabilities and flags. The label of an image that does not show one cell is None, and a warning says how
            many images are flagged.

        Raises:
            DataError: If files cannot be read (all of them are listed), or something is not an RGB image.
            DivergedError: If the model gives probabilities that are not finite.
        """
        network, given, news = self.network().framed_for(pictures(images), bits=bits)
        if news:
            warnings.warn(news, stacklevel=3)
        found = list(chain.from_iterable(results(network, given, bits=bits)))
        bad = [f"{result.picture.name}: {result.reason}" for result in found if result.reason]
        if bad:
            raise DataError(
                f"{len(bad)} of {counted(len(found), 'image(s)')} cannot be used; fix or remove them.", bad
            )
        prediction = Prediction.of(found, self.classes)
        if any(prediction.flags):
            warnings.warn(f"{prediction.flagged()}; see `flags`.", stacklevel=3)
        return prediction

    def network(self) -> Network:
        """What `results` predicts with, block by block; it shares this model's weights, which must not change meanwhile."""
        quick = self.for_inference()

        def applied(pixels: Tensor) -> tuple[Tensor, Tensor]:
            embeddings = quick.embed(quick.normalized(pixels))
            return embeddings.float().cpu(), quick.judged(embeddings, pixels).cpu()

        at_once = plan_for(self.mean.device).inference_batch
        return Network(applied, self.classes, self.backbone.image_size, self.framing_spec, at_once, self.seen)

    def for_inference(self) -> Self:
        """A copy that predicts as fast as possible: in evaluation mode, with BatchNorm folded into the convolutions.

        It shares this model's weights, which must not change while it is used, stays on the same device and cannot be saved.
        A model with hooks is not folded, so that its hooks still see the layers they were registered on.
        """
        if self.mean.device.type == "cpu":
            keep_freed_memory()
        quick = self.folded().eval()
        if isinstance(quick.encoder, Folded):
            quick.encoder.fixed()
        return quick

    def folded(self) -> Self:
        """A copy that shares the weights, with BatchNorms folded into the convolutions where that does not change the output.

        It computes what this model does with frozen BatchNorm statistics, and gradients flow to the weights of this model.
        """
        if isinstance(self.encoder, Folded):
            return sharing_copy(self)
        if self._pairs is None or not self._pairs.fit(self.encoder):
            side = self.backbone.image_size
            self._pairs = find_pairs(
                self.encoder, torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
            )
        quick = sharing_copy(self)
        quick.encoder = folded(quick.encoder, self._pairs)
        return quick

    def probabilities(self, pixels: Shaped[Tensor, "b 3 h w"]) -> Float[Tensor, "b classes"]:
        """Class probabilities of one raw batch in the model's size, uint8 or float in [0, 1]."""
        return self.judged(self.embed(self.normalized(pixels)), pixels)

    def embedded(self, pixels: Shaped[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Embeddings `(B, 128)` of one raw batch in the model's size, uint8 or float in [0, 1]."""
        return self.embed(self.normalized(pixels)).float()

    def normalized(self, pixels: Shaped[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Raw pixels, uint8 or float in [0, 1], on the model's device and stain-normalized."""
        device = self.mean.device
        images = pixels.to(device, torch.float32)
        if pixels.dtype == torch.uint8:
            images = images / 255
        return self.normalizer(images).to(memory_format=torch.channels_last)

    def save(self, folder: str | Path, *, half: bool = False) -> Path:
        """Write weights (safetensors) and description (`cellda.models.saved`) into `folder`, and return its path.

        Args:
            folder: It is created if it does not exist.
            half: Whether to round the weights of layers to half precision, which halves the file; biases and statistics keep
                theirs. What is loaded predicts as a model that was `halved`.

        Raises:
            ConfigurationError: If this is a copy for inference, weights are not finite, or its head cannot be loaded again.
        """
        if isinstance(self.encoder, Folded):
            raise ConfigurationError(
                "This is a copy for inference, whose layers are folded; save the model it was made from."
            )
        check_registered(self.head)
        path = path_of(folder)
        tensors = self.state_dict()
        if half:
            tensors |= {name: weight.half() for name, weight in self.layer_weights().items()}
        saved.write(path, self._fields(), tensors, self.seen, self.evidence)
        return path

    @property
    def identity(self) -> str:
        """Hash of this model as it is now: its weights, its description, and what it has seen."""
        return saved.identity(self._fields(), self.state_dict(), self.seen)

    def _fields(self) -> dict[str, Any]:
        """The description without what follows from the weights."""
        more: dict[str, Any] = {}
        if self.second_view is not None:
            more["second_view"] = self.second_view.description
        if self.calibration is not None:
            more["calibration"] = self.calibration.model_dump(mode="json")
        return {
            "classes": list(self.classes),
            "backbone": self.backbone.model_dump(mode="json"),
            "normalizer": self.normalizer_spec.model_dump(mode="json"),
            "framing": self.framing_spec.model_dump(mode="json"),
            "head": self.head.description,
            "registered_by": session_heads(self.head),
            "symmetric": self.symmetric,
            **more,
        }

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a classifier that `save` wrote; it is in evaluation mode.

        Args:
            folder: The folder, or that of a run, which holds its classifier in `model`.

        Raises:
            DataError: If `folder` does not hold one, its files are damaged or do not belong together, or its weights are not
                finite.
        """
        path = path_of(folder)
        try:
            path, description = saved.described(path)
            with torch.device("meta"):
                layout = cls._described(description).state_dict()
            weights, seen, evidence = saved.read_weights(path, description, layout)
            model = cls._described(description)
            model.load_state_dict(weights)
            if model.second_view is not None:
                model.second_view.check()
            model.seen, model.evidence = seen, evidence
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            refuse(path, error)
        return model.to(memory_format=torch.channels_last).eval()

    @classmethod
    def _described(cls, description: Description) -> Self:
        """A model without trained weights."""
        check_known(description.registered_by)
        model = cls(
            description.backbone,
            description.normalizer,
            description.classes,
            weights="none",
            framing=description.framing,
        )
        model.head = heads.create(
            width=model.backbone.embedding, classes=len(model.classes), **description.head
        )
        model.symmetric, model.calibration = description.symmetric, description.calibration
        if description.second_view is not None:
            model.second_view = SecondView(len(model.classes), description.second_view)
        return model
