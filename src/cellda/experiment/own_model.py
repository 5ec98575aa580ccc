"""Adapt a network of one's own to tensors of one's own: no recipe, no dataset, no store."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from cellda import adapters
from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, Start, TargetView
from cellda.data.image_set import ImageSet
from cellda.data.tensors import as_bytes, check_images, class_indices
from cellda.errors import ConfigurationError, DataError, nearest
from cellda.models.classifier import CellClassifier
from cellda.models.finite import check_finite
from cellda.models.heads.linear import Linear
from cellda.models.judged import seen_of
from cellda.models.own_network import OwnNetwork, parts_of
from cellda.normalizers.base import Normalizer
from cellda.normalizers.spec import NormalizerSpec
from cellda.runtime.device import plan_for
from cellda.text import counted
from cellda.training.loop import Trainer

PROBED = 2
"""Images that a model is tried with."""
FIT_BATCH = 64


class AdaptedModel(nn.Module):
    """A user's model after its adaptation: normalizer -> encoder -> classifier, an ordinary module.

    Args:
        network: The adapted classifier.
        adapter: The method that adapted it.

    Attributes:
        network: As above; `network.encoder` is the adapted copy of the user's encoder.
        classes: Class names in the order of the logits.
    """

    def __init__(self, network: CellClassifier, adapter: Adapter) -> None:
        super().__init__()
        self.network, self.adapter, self.classes = network, adapter, network.classes

    def forward(self, images: Shaped[Tensor, "b 3 s s"]) -> Float[Tensor, "b classes"]:
        """Logits `(B, classes)` of raw images, uint8 or float in [0, 1]; gradients flow to weights and images.

        Raises:
            DataError: If the images have another shape, size or range than those of the adaptation.
        """
        self._check(images)
        if self.network.second_view is not None:  # trees beside the network correct its probabilities
            return self.network.probabilities(images).log()
        return self.network(self.network.normalized(images))  # type: ignore[no-any-return]

    @torch.no_grad()
    def predict_proba(self, images: Shaped[Tensor, "n 3 s s"]) -> Float[Tensor, "n classes"]:
        """Class probabilities `(N, classes)` of any number of raw images, on the CPU, in evaluation mode.

        Raises:
            DataError: As `forward`.
            DivergedError: If a probability is not finite.
        """
        self._check(images)
        quick = self.network.for_inference()
        batch = plan_for(self.network.mean.device).inference_batch
        found = [quick.probabilities(part).cpu() for part in torch.split(images, batch)]
        return check_finite(torch.cat(found), "Predicting")

    def _check(self, images: Any) -> None:
        check_images(images, "images", self.network.backbone.image_size)


class AdaptOptions(TypedDict, total=False):
    """Further options of `adapt_model`.

    Attributes:
        normalizer: Stain normalizer of all images, by name or with options; by default `"identity"`.
        mean: What is subtracted from every channel of an image in [0, 1] before the model, three numbers. By default as in a
            timm model's configuration; other models get images in [0, 1] as they are.
        std: What it is then divided by, likewise.
        seed: Seed of everything random; by default 0.
        device: `"auto"`, the default, uses a GPU if there is one, `"cpu"` never does.
    """

    normalizer: str | Mapping[str, Any] | NormalizerSpec
    mean: Sequence[float] | None
    std: Sequence[float] | None
    seed: int
    device: Literal["auto", "cpu"]


def adapt_model(
    model: nn.Module,
    support: Shaped[Tensor, "n 3 s s"],
    labels: Int[Tensor, " n"] | Sequence[int],
    pool: Shaped[Tensor, "m 3 s s"] | None = None,
    *,
    adapter: str | Mapping[str, Any] | Adapter | Sequence[Any] = "l2_sp",
    classes: Sequence[str] | None = None,
    source: tuple[Shaped[Tensor, "k 3 s s"], Int[Tensor, " k"] | Sequence[int]] | None = None,
    **options: Unpack[AdaptOptions],
) -> AdaptedModel:
    """Adapt your own model to a few labelled images of a new laboratory; the model itself is not changed.

    A copy is adapted, all of its weights unfrozen; the adapter decides which are trained. If the model has a linear classifier
    with an output for each class (a timm model), that is the classifier that the adapter starts from; otherwise a new one is
    learned. Images are square, RGB, uint8 or float in [0, 1]; floats are rounded to 8 bits, as in files. They are normalized
    first (`normalizer`), then shifted and scaled (`mean`, `std`).

    Args:
        model: A timm model, or any encoder that maps `(B, 3, S, S)` to `(B, D)`.
        support: `(N, 3, S, S)`, the labelled images.
        labels: `(N,)`, their class indices from 0 on.
        pool: `(M, 3, S, S)`, further images of the target without labels, for adapters that need them.
        adapter: The method, as in a recipe: a name, a mapping with options, a chain.
        classes: Names of the classes in index order. By default "0", "1", ... as many as the labels name.
        source: Labelled images of the source and their class indices, for adapters and normalizers that need them.
        options: Normalizer, statistics of the input, seed and device (`AdaptOptions`).

    Returns:
        The adapted model in evaluation mode: call it for logits, or `predict_proba`.

    Raises:
        DataError: If images or labels have the wrong shape, type or range.
        ConfigurationError: If the model does not fit the images, or the adapter lacks something: it is named.
    """
    if unknown := options.keys() - AdaptOptions.__annotations__.keys():
        raise ConfigurationError(
            f"adapt_model has no option '{min(unknown)}'; {nearest(min(unknown), AdaptOptions.__annotations__)}"
        )
    seed = options.get("seed", 0)
    method = adapters.build(adapter)
    cells = as_bytes(support, "support")
    size = cells.shape[-1]
    others = None if pool is None else as_bytes(pool, "pool", size)
    known = class_indices(labels, len(cells), "labels")
    origin = None if source is None else _source(source, size)
    encoder, own, width, shift, scale = parts_of(
        model, cells[:PROBED].float() / 255, options.get("mean"), options.get("std")
    )
    names = _names(classes, int(known.max()) + 1, own)
    _check_range(known, names, "labels")
    if origin is not None:
        _check_range(origin[1], names, "The labels of source")
    kept = own if own is not None and own.classes == len(names) and method.start is Start.SOURCE else None
    offer = Offer(
        support=tuple(torch.bincount(known, minlength=len(names)).tolist()),
        unlabelled=0 if others is None or Need.UNLABELLED not in method.needs else len(others),
        source=0 if origin is None else len(origin[1]),
        classes=names,
        missing=tuple(name for index, name in enumerate(names) if not (known == index).any()),
        encoder=encoder,
    )
    _check(method, offer, pool=others is not None, source=origin is not None, head=kept is not None)
    spec = NormalizerSpec.of(options.get("normalizer", "identity"))
    fitted = _fitted(spec, None if origin is None else origin[0])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = kept or Linear(width, len(names))
        network = OwnNetwork(encoder, head, names, size, shift, scale)
    trainer = Trainer(options.get("device", "auto"))
    network.with_normalizer(spec, fitted.state_dict()).to(trainer.device)
    target = TargetView(
        _set(cells, network.normalizer, known), None if others is None else _set(others, network.normalizer)
    )
    sources = () if origin is None else (_set(origin[0], fitted, origin[1]),)
    if sources:
        embedded = trainer.embeddings(network, sources[0])
        network.seen = seen_of(
            embedded, sources[0].labels, torch.ones(len(embedded), dtype=torch.bool), [0.0], []
        )
    adapted = method.apply(network, target, AdaptContext(trainer, seed, sources))
    adapted.seen = None  # it belongs to the weights before
    return AdaptedModel(adapted, method).eval()


def _source(given: Any, size: int) -> tuple[Tensor, Tensor]:
    """Checked images and class indices of the source."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise DataError("source takes a pair: the images, and their class indices.")
    images = as_bytes(given[0], "The images of source", size)
    return images, class_indices(given[1], len(images), "The labels of source")


def _names(given: Sequence[str] | None, told: int, own: Linear | None) -> tuple[str, ...]:
    """The names of the classes.

    Raises:
        ConfigurationError: If the model's classifier and the labels disagree about their number, or names are no names.
    """
    if given is None:
        if own is not None and own.classes != told:
            raise ConfigurationError(
                f"The classifier of the model has {counted(own.classes, 'output(s)')}, and the labels name "
                f"{counted(told, 'class(es|es)')}: name the classes with classes=. With as many names as outputs the "
                "classifier is kept, otherwise a new one is learned."
            )
        return tuple(map(str, range(max(told, 2))))
    names = tuple(given)
    if isinstance(given, str) or len(names) < 2 or len(set(names)) < len(names):
        raise ConfigurationError(f"classes takes at least two different names in a list; got {given!r}.")
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ConfigurationError(f"classes takes names, which are text; got {wrong[0]!r}.")
    return names


def _check_range(labels: Tensor, names: Sequence[str], what: str) -> None:
    if int(labels.max()) >= len(names):
        raise DataError(
            f"{what}: number {int(labels.argmax())} is {int(labels.max())}, and the indices of the {len(names)} classes "
            f"{', '.join(names[:20])} are 0 to {len(names) - 1}."
        )


def _check(method: Adapter, offer: Offer, *, pool: bool, source: bool, head: bool) -> None:
    """Refuse an adapter that lacks something.

    Raises:
        ConfigurationError: If so; the message says what to give.
    """
    lacking = []
    if Need.UNLABELLED in method.needs and not pool:
        lacking.append("images of the target without labels: give them as pool=images")
    if (Need.SOURCE in method.needs or Effect.SOURCE_STATISTICS in method.effects) and not source:
        lacking.append("labelled images of the source: give them as source=(images, labels)")
    if lacking:
        raise ConfigurationError(f"The adapter '{method.name}' needs {'; and '.join(lacking)}.")
    found = [name for name, count in zip(offer.classes, offer.support, strict=True) if count]
    if Need.LABELS in method.needs and len(found) < 2:
        raise ConfigurationError(
            f"The adapter '{method.name}' learns from labels, and all labelled images are of one class, {found[0]}: give "
            "images of at least 2 classes."
        )
    if not head and not _makes_head(method):
        raise ConfigurationError(
            f"The adapter '{method.name}' needs a classifier that is already trained, with an output for each of the "
            f"{len(offer.classes)} classes, and the model has none. Give a model with a linear classifier, or choose an "
            "adapter that learns one from labels, such as full, l2_sp, logistic or ncm."
        )
    method.check(offer)


def _makes_head(method: Adapter) -> bool:
    """Whether the method learns a classifier before anything asks for one."""
    for part in method.parts():
        if part.makes_head or part.uses_head:
            return part.makes_head
    return False


def _fitted(spec: NormalizerSpec, source: Tensor | None) -> Normalizer:
    """A normalizer, fitted on the source images if it learns from them.

    Raises:
        ConfigurationError: If there are none.
    """
    module = spec.build()
    if not module.needs_fit:
        return module
    if source is None:
        raise ConfigurationError(
            f"The normalizer '{spec.name}' with these options learns its reference from images of the source: give them as "
            "source=(images, labels), or options with a reference of its own."
        )
    module.fit(part.float() / 255 for part in torch.split(source, FIT_BATCH))
    return module


def _set(pixels: Tensor, normalizer: Normalizer, labels: Tensor | None = None) -> ImageSet:
    groups = tuple(map(str, range(len(pixels))))
    return ImageSet(pixels, torch.arange(len(pixels)), normalizer, labels, groups)
