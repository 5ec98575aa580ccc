"""The conditions of a leaderboard: adapters at their declared values, and the bounds between which they should score."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cellda import adapters
from cellda.errors import ConfigurationError
from cellda.experiment.naming import name_of
from cellda.presets import OURS

if TYPE_CHECKING:
    from cellda.recipe import Recipe

BOUNDS: Mapping[str, Mapping[str, Any]] = {
    "none": {"adapter": "none", "search": None},
    "target_only": {
        "adapter": {"name": "from_scratch", "epochs": 3, "min_steps": 400, "batch_size": 16},
        "few_shot": {"kind": "all", "n": None},
        "search": None,
    },
}
"""Bounds, as edits of a recipe: the unchanged source model; and training without sources on every label of the support
side, which is exempt from the cap.

`target_only` makes 3 passes, or more if needed for 400 steps of 16 images, so that small targets are learned too.
"""


def conditions(
    base: "Recipe", names: Sequence[str] = (), *, without: Sequence[str] = (), labels: bool = True
) -> "dict[str, Recipe]":
    """Condition -> recipe: `base` with each adapter at its declared values and without a search, then the bounds.

    A condition has the name of its adapter, except that `full` is the paper's `our_workflow`.

    Args:
        base: The recipe that all conditions share.
        names: Adapters; the members of a chain are joined by `+` (`adabn+lp_ft`); `our_workflow` is `full`. By default, all
            registered adapters, including those of installed packages.
        without: Adapters to leave out.
        labels: Whether to include adapters that need labelled target cells.

    Raises:
        UnknownNameError: If an adapter is unknown.
        ConfigurationError: If a named adapter needs labels and `labels` is false.
    """
    from cellda.adapters.base import Need

    full = {OURS: "full"}
    names, without = ([full.get(name, name) for name in given] for given in (names, without))
    for name in without:
        adapters.get(name)
    chosen = {}
    for name in names or [name for name in adapters.names() if name not in BOUNDS]:
        recipe = base.with_(adapter=name, search=None)
        if name in without or (not names and not labels and Need.LABELS in recipe.adapter.needs):
            continue
        if not labels and Need.LABELS in recipe.adapter.needs:
            raise ConfigurationError(
                f"The adapter '{name}' needs labelled target cells; leave it out, or compare with labels."
            )
        whole = recipe.with_(framing="none")
        chosen[OURS if name_of(whole) == OURS else name] = recipe
    return chosen | bounds(base)


def bounds(base: "Recipe") -> "dict[str, Recipe]":
    """The bounds, by condition."""
    return {name: base.with_(**edits) for name, edits in BOUNDS.items()}
