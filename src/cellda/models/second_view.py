"""A second opinion on a cell: trees on what can be measured of it, multiplied with the network's probabilities."""

from typing import Annotated, Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from pydantic import Field
from torch import Tensor, nn

from cellda.imaging.measurements import NAMES, measure
from cellda.plugins.settings import Settings

LEAF = -1
"""The child of a leaf."""

Count = Annotated[int, Field(ge=1, le=1 << 24, strict=True)]


class Shape(Settings):
    """Sizes of a second view, from which an untrained one is built.

    Attributes:
        trees: Number of trees.
        nodes: Number of nodes of all trees together.
        depth: Number of decisions on the longest path.
        weight: Exponent of the trees' probabilities.
    """

    trees: Count
    nodes: Count
    depth: int = Field(ge=0, le=10_000, strict=True)
    weight: float = Field(gt=0, le=10)


class SecondView(nn.Module):
    """Randomised trees on the measurements of nucleus and cytoplasm (`cellda.imaging.measurements`).

    `p_k -> p_k q_k^weight`, renormalised over the classes that the trees were fitted on, which keep their common share; other
    classes keep the network's probability. `q = (n t + 1) / (n + K)`, where `t` is the mean of the trees' shares, `n` the
    number of cells they were fitted on and `K` the number of classes: few cells say little. Of an image without a nucleus the
    trees say nothing. A product of experts (G. Hinton, Neural Computation 14, 2002).

    Args:
        classes: Number of classes.
        shape: Sizes of the trees.
    """

    roots: Tensor
    branches: Tensor
    features: Tensor
    thresholds: Tensor
    shares: Tensor
    counts: Tensor

    def __init__(self, classes: int, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("roots", torch.zeros(shape.trees, dtype=torch.int64))
        self.register_buffer("branches", torch.full((shape.nodes, 2), LEAF, dtype=torch.int64))
        self.register_buffer("features", torch.zeros(shape.nodes, dtype=torch.int64))
        self.register_buffer("thresholds", torch.zeros(shape.nodes, dtype=torch.float64))
        self.register_buffer("shares", torch.zeros(shape.nodes, classes))
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))

    @classmethod
    def fitted(
        cls,
        measures: Float[Tensor, "n m"],
        labels: Int[Tensor, " n"],
        classes: int,
        *,
        trees: int,
        weight: float,
        seed: int,
    ) -> Self:
        """Fit extremely randomised trees (Geurts et al., 2006) with scikit-learn; all classes weigh the same.

        Args:
            measures: What `measure` returns, without rows of NaN.
            labels: `(N,)` class indices.
            classes: Number of classes.
            trees: Number of trees.
            weight: Exponent of their probabilities.
            seed: Seed of the trees.
        """
        from sklearn.ensemble import ExtraTreesClassifier  # heavy, and predicting does not need it

        forest = ExtraTreesClassifier(
            trees, max_features=0.2, class_weight="balanced", random_state=seed, n_jobs=1
        ).fit(measures.numpy(), labels.numpy())
        parts = [tree.tree_ for tree in forest.estimators_]
        sizes = np.array([part.node_count for part in parts])
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        depth = max(part.max_depth for part in parts)
        shape = Shape(trees=trees, nodes=int(sizes.sum()), depth=int(depth), weight=weight)
        view = cls(classes, shape)
        view.roots.copy_(torch.from_numpy(starts))
        for part, start in zip(parts, starts, strict=True):
            own = slice(int(start), int(start) + part.node_count)
            children = np.stack([part.children_left, part.children_right], 1)
            view.branches[own] = torch.from_numpy(np.where(children == LEAF, LEAF, children + start))
            view.features[own] = torch.from_numpy(part.feature).clamp(min=0)
            view.thresholds[own] = torch.from_numpy(part.threshold)
            values = part.value[:, 0]
            shares = torch.from_numpy(values / values.sum(1, keepdims=True)).float()
            view.shares[own] = torch.zeros(len(shares), classes).index_copy_(
                1, torch.from_numpy(forest.classes_), shares
            )
        view.counts.copy_(labels.bincount(minlength=classes))
        return view

    def check(self) -> None:
        """Refuse trees that were not fitted, such as those of a damaged file.

        Raises:
            ValueError: If a node leads nowhere, asks for a measure that does not exist, or holds no shares.
        """
        nodes, sums = self.shape.nodes, self.shares.sum(1)
        sound = (
            _within(self.roots, 0, nodes)
            and _within(self.branches, LEAF, nodes)
            and _within(self.features, 0, len(NAMES))
            and bool((self.shares >= 0).all() and (sums - 1).abs().max() < 1e-2)
            and bool((self.counts >= 0).all() and self.counts.any())
        )
        if not sound:
            raise ValueError("the trees of its second view lead nowhere or hold no shares")

    @property
    def description(self) -> dict[str, Any]:
        """The sizes, as plain data."""
        return self.shape.model_dump(mode="json")

    def votes(self, measures: Float[Tensor, "b m"]) -> Float[Tensor, "b classes"]:
        """Mean over the trees of the shares of the classes in the leaves that the images fall into."""
        measures = measures.to(self.thresholds)
        node = self.roots.expand(len(measures), -1)
        for _ in range(self.shape.depth):
            right = measures.gather(1, self.features[node]) > self.thresholds[node]
            child = self.branches[node].gather(2, right[..., None].long())[..., 0]
            node = torch.where(child == LEAF, node, child)
        return self.shares[node].mean(1)

    def forward(
        self, probabilities: Float[Tensor, "b classes"], pixels: Shaped[Tensor, "b 3 s s"]
    ) -> Float[Tensor, "b classes"]:
        """The network's probabilities, corrected by the trees'.

        Args:
            probabilities: What the network says.
            pixels: The raw batch in the network's size, uint8 or float in [0, 1].
        """
        images = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
        measures = measure(images).to(probabilities.device)
        fitted = self.counts > 0
        cells = int(self.counts.sum())
        smooth = (cells * self.votes(measures.nan_to_num()) + 1) / (cells + len(self.counts))
        told = fitted & ~measures.isnan().any(1, keepdim=True)
        product = probabilities * torch.where(told, smooth.to(probabilities) ** self.shape.weight, 0)
        share = torch.where(told, probabilities, 0).sum(1, keepdim=True)
        scaled = product / product.sum(1, keepdim=True).clamp_min(torch.finfo(product.dtype).tiny) * share
        return torch.where(told, scaled, probabilities)


def _within(values: Tensor, least: int, below: int) -> bool:
    return bool(((values >= least) & (values < below)).all())
