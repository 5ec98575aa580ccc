"""Settings of training, on the source and on the target."""

from typing import Literal

from pydantic import Field

from cellda.plugins.settings import Settings
from cellda.taxonomies.spec import TaxonomySpec


class Training(Settings):
    """Settings of the training loop.

    Attributes:
        epochs: Passes over the images.
        batch_size: Images per step.
        lr: Learning rate; the peak of the schedule if `one_cycle` is on.
        optimizer: `"adam"` (the paper's) or `"adamw"`.
        weight_decay: Weight decay of the optimizer.
        label_smoothing: Probability mass spread over all classes in the cross-entropy.
        one_cycle: Warm up to `lr` and anneal to nearly 0 (Smith 2018) instead of a constant rate.
        bn: Whether the BatchNorm2d statistics of the encoder are updated (`"train"`) or kept (`"frozen"`). The head's
            BatchNorm always trains.
    """

    epochs: int = Field(default=15, ge=1)
    batch_size: int = Field(default=16, ge=2)
    lr: float = Field(default=1e-4, gt=0)
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    one_cycle: bool = False
    bn: Literal["train", "frozen"] = "train"


class SourceTraining(Training):
    """Training on the source datasets (section "Training strategy" of the paper).

    Epochs, batch size, label smoothing and the 80/20 split are the paper's. The paper trains with Adam at a constant 1e-4 and
    updates the BatchNorm statistics (preset `published_training`); here the rate rises to 3e-4 and falls again, weight decay
    is on, and the encoder keeps its ImageNet statistics, which yields features that adapt better
    (`benchmarks/studies/defaults.py`).

    Attributes:
        taxonomy: The classes that the source model tells apart; None takes the recipe's (`Recipe.source_taxonomy`). With finer
            ones, such as `"wbc13"`, cells that are labelled more coarsely still teach, and the model answers in the recipe's
            classes by sums (`cellda.models.heads.summed`).
        pooling: How several sources are mixed. `"equal"` (the paper's): in equal parts in every batch, the largest seen
            once in an epoch. `"root"`: every class of every source by the square root of its number of cells, as many in
            an epoch as there are (`cellda.training.batches.Pool`).
        compared: Among which classes an image of a source is told apart in training: `"all"` (the paper's), or `"own"`, those
            that its source holds (`cellda.training.objective.WithinSources`).
        holdout: Fraction of every source held out from training to measure the source accuracy.
        mixstyle: Probability that the feature statistics of a batch are mixed with those of other images after an early stage
            (`cellda.training.mixstyle`; the paper of that method uses 0.5); 0 turns it off.
        stain_jitter: Strength of random stain and brightness changes after normalization (`augment.random_stain`); 0 turns
            them off.
    """

    lr: float = Field(default=3e-4, gt=0)
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    one_cycle: bool = True
    bn: Literal["train", "frozen"] = "frozen"
    taxonomy: TaxonomySpec | None = None
    pooling: Literal["equal", "root"] = "equal"
    compared: Literal["all", "own"] = "all"
    holdout: float = Field(default=0.2, ge=0, le=0.5)
    mixstyle: float = Field(default=0.0, ge=0, le=1)
    stain_jitter: float = Field(default=0.0, ge=0)
