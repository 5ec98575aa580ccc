"""What the base classes of adapters give to an author who derives from them."""

from typing import ClassVar

import pytest
import torch

from cellda.adapters.base import Adapter, Effect, Need, Offer, Start
from cellda.adapters.families.fine_tuning import FineTuning
from cellda.adapters.families.mixing import Mixing
from cellda.adapters.families.source_images import SourceImages
from cellda.errors import ConfigurationError
from cellda.models.timm_names import encoder_structure
from tiny import CLASSES

OFFER = Offer(
    support=(2,) * 6,
    unlabelled=40,
    source=500,
    classes=CLASSES,
    missing=(),
    encoder=encoder_structure("test_efficientnet"),
)


class Own(SourceImages):
    """Says nothing but its name."""

    name = "own"


def test_a_method_on_source_images_needs_them_and_counts_them() -> None:
    own = Own(epochs=3, source_images=30)
    assert own.needs == {Need.LABELS, Need.SOURCE}
    assert own.image_passes(OFFER) == 3 * (12 + 30)
    assert own.image_passes(OFFER) == 3 * own.trained_images(OFFER)


def test_the_passes_of_mixed_batches_follow_their_sets_and_not_their_needs() -> None:
    class Three(Mixing):
        name = "three"
        groups = 3
        passes = 3

    two, three = (cls(epochs=1, min_steps=12, batch_size=6) for cls in (Mixing, Three))
    assert three.needs == two.needs
    # 12 support images, in batches of 6: 4 steps an epoch with two sets, 6 with three.
    assert two.image_passes(OFFER) == 3 * 12 * 2
    assert three.image_passes(OFFER) == 2 * 12 * 3


@pytest.mark.parametrize("fact", ["effects", "needs", "start", "views"])
def test_what_a_class_states_is_no_hyper_parameter(fact: str) -> None:
    stated = {
        "effects": frozenset({Effect.NEW_HEAD}),
        "needs": frozenset(),
        "start": Start.SOURCE,
        "views": 1,
    }
    with pytest.warns(UserWarning, match="shadows"):
        cls = type(
            "Mine", (FineTuning,), {"name": "mine", fact: stated[fact], "__annotations__": {fact: object}}
        )
    with pytest.raises(ConfigurationError, match=rf"'mine'.*declares {fact} as a hyper-parameter; write"):
        cls()


def test_the_state_of_cudnn_is_as_before() -> None:
    from cellda.imaging.colour_space import KORNIA_LAB

    flags = torch.backends.cudnn
    before = (flags.enabled, flags.benchmark, flags.deterministic, flags.allow_tf32)
    try:
        flags.deterministic, flags.allow_tf32 = True, True
        KORNIA_LAB.curve(torch.rand(1, 3, 5))
        assert flags.deterministic
        assert flags.allow_tf32
    finally:
        flags.enabled, flags.benchmark, flags.deterministic, flags.allow_tf32 = before


def test_every_member_states_its_facts_as_a_class() -> None:
    """No annotation without `ClassVar` in what cellda ships."""
    import cellda.adapters

    facts: ClassVar = {"effects", "needs", "start", "views"}
    for name in cellda.adapters.names():
        cls: type[Adapter] = cellda.adapters.get(name)
        assert not facts & cls.model_fields.keys(), name
