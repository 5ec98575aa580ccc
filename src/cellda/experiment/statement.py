"""What a recipe states about the classes that can occur in the target (`Recipe.present`), held against the data."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cellda.adapters.base import Need, Start
from cellda.data.image_set import ImageSet, of_classes
from cellda.data.own_cells import OwnCells
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError
from cellda.experiment.checks import trained_classes
from cellda.recipe import Recipe
from cellda.taxonomies.base import Taxonomy, sums
from cellda.text import agreeing, counted


def known(recipe: Recipe, names: Iterable[str]) -> tuple[str, ...]:
    """Those of some classes that can occur."""
    return tuple(name for name in names if recipe.present is None or name in recipe.present)


def usable(recipe: Recipe, taxonomy: Taxonomy, sources: Iterable[CellDataset]) -> int:
    """Number of source cells that an adaptation may use: those of classes of the target that can occur."""
    cells = _source_cells(taxonomy, sources)
    return sum(cells[name] for name in known(recipe, taxonomy.classes))


def _source_cells(taxonomy: Taxonomy, sources: Iterable[CellDataset]) -> Counter[str]:
    """Number of source cells of each class of the target."""
    found: Counter[str] = Counter()
    for source in sources:
        naming = replace(source.naming, taxonomy=taxonomy)
        for name, count in Counter(source.table["raw_label"]).items():
            if naming.is_known(name) and (own := naming.fold(name)) is not None:
                found[own] += count
    return found


def unlearned(
    recipe: Recipe, sources: Sequence[CellDataset], target: CellDataset, support: Sequence[int], *, used: bool
) -> str:
    """What is said of classes that can occur and of which the model learns from no cell; empty if there are none.

    Sources teach a model that starts from them and keeps their head. What a trained source model has never seen is on its
    card.

    Args:
        recipe: The recipe.
        sources: The loaded sources.
        target: The target.
        support: Rows of the labelled cells.
        used: Whether the run uses the labels.
    """
    adapter, classes = recipe.adapter, target.taxonomy.classes
    taught = adapter.start is Start.SOURCE and sums(target.taxonomy, trained_classes(recipe)) is not None
    if taught and recipe.source_model is not None:
        return ""
    cells = _source_cells(target.taxonomy, sources if taught or Need.SOURCE in adapter.needs else ())
    held = {classes[number] for number in target.labels[list(support)].tolist()} if used else set()
    missing = [name for name in known(recipe, classes) if not cells[name] and name not in held]
    if not missing:
        return ""
    return (
        "No cell that the model learns from, of the sources or labelled, is of the "
        f"{agreeing(len(missing), '(class|classes)')} {', '.join(missing)}: it cannot know "
        f"{agreeing(len(missing), '(it|them)')}"
    )


def contradicting(recipe: Recipe, target: CellDataset, rows: Sequence[int]) -> dict[str, int]:
    """Number of cells of each class that cannot occur by the statement, and does; without zeros."""
    labels = target.labels[list(rows)]
    counts = {name: int((labels == number).sum()) for number, name in enumerate(target.taxonomy.classes)}
    return {name: count for name, count in counts.items() if count and not known(recipe, [name])}


def held_out(recipe: Recipe, classes: Sequence[str], sets: Iterable[ImageSet]) -> tuple[ImageSet, ...]:
    """The held-out source cells of classes that can occur, on which a search may choose; without sources that hold none.

    Raises:
        ConfigurationError: If no source holds any.
    """
    wanted = known(recipe, classes)
    found = of_classes(sets, [classes.index(name) for name in wanted])
    if not found:
        raise ConfigurationError(
            f"The held-out source cells, on which the search would choose, show none of {', '.join(wanted)} "
            "(present); choose another selector."
        )
    return found


def check_statement(
    recipe: Recipe,
    sources: Sequence[CellDataset],
    target: CellDataset,
    support: Sequence[int],
    scored: Sequence[int],
    *,
    used: bool,
) -> None:
    """Refuse labelled cells that contradict the statement, and sources without its classes; warn if cells to measure do.

    Args:
        recipe: The recipe.
        sources: The loaded sources.
        target: The target.
        support: Rows of the labelled cells.
        scored: Rows that are predicted and measured; those without a label contradict nothing.
        used: Whether the run uses the labels. Those of a laboratory's own cells are a statement of their own, used or not.

    Raises:
        ConfigurationError: If labelled cells do, or the adapter takes source images and there are none of these classes.
    """
    if recipe.present is not None:  # own classes are only known with the labels
        target.taxonomy.statement(recipe.present)
    possible = ", ".join(known(recipe, target.taxonomy.classes))
    if Need.SOURCE in recipe.adapter.needs and not usable(recipe, target.taxonomy, sources):
        raise ConfigurationError(
            f"The adapter '{recipe.adapter.name}' takes source images, but the sources show none of "
            f"{possible} (present); choose other sources, or another adapter."
        )
    wrong = contradicting(recipe, target, support) if used or isinstance(target, OwnCells) else {}
    if wrong:
        total = sum(wrong.values())
        raise ConfigurationError(
            f"The recipe states that only {possible} can occur (present), but "
            f"{counted(total, 'labelled cell(s) (is|are)')} of other classes in {target.full_name}: {in_words(wrong)}. Add "
            f"{agreeing(len(wrong), '(this class|these classes)')} to present, or leave the cells out of the target."
        )
    missed = contradicting(recipe, target, scored)
    if missed:
        warnings.warn(refuted(missed, len(scored), target.full_name), stacklevel=2)


def refuted(missed: dict[str, int], among: int, target: str) -> str:
    """What is said of measured cells whose classes the statement excludes."""
    total = sum(missed.values())
    return (
        f"present was wrong for {target}: {total:,} of {counted(among, 'query cell(s)')} {agreeing(total, '(is|are)')} of "
        f"classes that it excludes ({in_words(missed)}), and {agreeing(total, '(is|are)')} counted as wrong"
    )


def told(present: Sequence[str] | None, missed: dict[str, int], among: int, target: str) -> list[str]:
    """What the summary of a run says of the statement, in lines; none without one."""
    if present is None:
        return []
    lines = [f"it was known that only {', '.join(present)} can occur (present)"]
    return [*lines, refuted(missed, among, target)] if missed else lines


def in_words(counts: dict[str, int]) -> str:
    """Classes with their numbers of cells."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
