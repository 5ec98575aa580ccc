"""The conditions of a leaderboard: adapters at their declared values, and the bounds between which they should lie."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cellda import adapters
from cellda.errors import ConfigurationError
from cellda.experiment.naming import name_of

if TYPE_CHECKING:
    from cellda.recipe import Recipe

CAP = 3000
"""Images that an adaptation may send through the backbone: about a minute on two CPU cores."""

OURS = "our_workflow"

BOUNDS: Mapping[str, Mapping[str, Any]] = {
    "none": {"adapter": "none", "search": None},
    "target_only": {
        "adapter": {"name": "from_scratch", "epochs": 3, "min_steps": 400, "batch_size": 16},
        "few_shot": {"kind": "all", "n": None},
        "search": None,
    },
}
"""Bounds, as edits of a recipe: the source model as it is; no source, and every label of the support side, outside the cap.

`target_only` makes at least 400 steps of 16 images, so that small targets are learned, and at most 3 passes over large ones.
"""


def conditions(
    base: "Recipe", names: Sequence[str] = (), *, without: Sequence[str] = (), labels: bool = True
) -> "dict[str, Recipe]":
    """Condition -> recipe: `base` with every adapter at its declared values and no search, then the bounds.

    An adapter's condition is called like the adapter, except that `full` is the paper's `our_workflow`.

    Args:
        base: What all share.
        names: Adapters; the members of a chain are joined by `+` (`adabn+lp_ft`); `our_workflow` is `full`. Without any, every
            registered one is taken, those of installed packages included.
        without: Adapters to leave out.
        labels: Whether adapters that need labelled target cells are compared.

    Raises:
        UnknownNameError: If an adapter is unknown.
        ConfigurationError: If one that needs labels is asked for without labels.
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
