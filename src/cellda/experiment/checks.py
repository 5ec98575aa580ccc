"""The search and the sources that a recipe needs, and which of them are refused."""

import warnings
from collections.abc import Iterable, Sequence
from itertools import combinations

from cellda.adapters.base import Need, Offer, Start
from cellda.data.spec import Twins
from cellda.datasets.base import CellDataset
from cellda.datasets.table import Table
from cellda.errors import ConfigurationError, DataError
from cellda.experiment.known_cells import without_images
from cellda.experiment.workspace import Workspace
from cellda.recipe import Recipe
from cellda.runtime.place import check_apart
from cellda.selection.selectors.base import Use
from cellda.selection.settings import Search
from cellda.source_models import registry
from cellda.taxonomies.base import Taxonomy, sums
from cellda.taxonomies.spec import TaxonomySpec
from cellda.text import agreeing, counted


def search_of(recipe: Recipe) -> Search | None:
    """The search of a recipe: None if its adapter declares no range, or its selector uses no evidence (`fixed`)."""
    search = recipe.search
    made = search is not None and recipe.adapter.search_space() and search.uses
    return search if made else None


def needs_sources(recipe: Recipe) -> bool:
    """Whether any part of a run depends on the source images."""
    fitted = recipe.normalizer.build().needs_fit
    return recipe.adapter.start is Start.SOURCE or fitted or bool(source_images_for(recipe))


def source_images_for(recipe: Recipe) -> list[str]:
    """What takes source images themselves, which no trained source model replaces, in words."""
    adapter, search, target = recipe.adapter, search_of(recipe), recipe.used_target_normalizer
    needing = [part.name for part in adapter.parts() if Need.SOURCE in part.needs]
    found = [f"The adapter '{name}'" for name in needing]
    if search is not None and Use.HELD_OUT_SOURCE in search.uses:
        found.append(f"The selector '{search.selector}'")
    if target != recipe.normalizer and target.build().needs_fit:
        found.append(f"The target_normalizer '{target.name}'")
    return found


def check_recipe(recipe: Recipe, *, oracle: bool) -> None:
    """Refuse what needs no data to be seen: a search or a head that cannot work.

    Raises:
        ConfigurationError: If there is any.
    """
    check_search(recipe, oracle=oracle)
    check_head(recipe, recipe.taxonomy.build(), trained_classes(recipe))


def check_search(recipe: Recipe, *, oracle: bool) -> None:
    """Refuse a search that is not allowed, or has no images to score trials on.

    Raises:
        ConfigurationError: If so.
    """
    search = search_of(recipe)
    if search is not None and Use.QUERY_LABELS in search.uses and not oracle:
        raise ConfigurationError(
            f"The selector '{search.selector}' chooses by query labels: its results are an upper bound, not those of a "
            "method. It runs only in studies with Study(..., oracle=True); set search.selector to 'support_cv'."
        )
    if search is not None and Use.HELD_OUT_SOURCE in search.uses and recipe.training.holdout == 0:
        raise ConfigurationError(
            f"The selector '{search.selector}' measures on held-out source cells, but training.holdout=0 holds none out; set "
            "it to 0.2, or choose another selector."
        )


def loaded(
    dataset: str | CellDataset, recipe: Recipe, workspace: Workspace, taxonomy: TaxonomySpec | None = None
) -> CellDataset:
    """A dataset, by name or loaded, in the recipe's classes or those of `taxonomy`, after `with_twins`.

    What it leaves out is said.

    Raises:
        ConfigurationError: If there is no folder for it, or the store lies in it.
        DataError: If the folder does not hold the dataset, or images of it have several classes.
    """
    found = workspace.load(dataset, taxonomy or recipe.taxonomy)
    if found.root is not None and not isinstance(found, Table):  # which is not searched for images
        check_apart(workspace.store.root, found.root, "store")
    used = with_twins(found, recipe.twins)
    workspace.tell(used.account)
    return used


def with_twins(dataset: CellDataset, twins: Twins | None) -> CellDataset:
    """A dataset, and what is done with its identical images under different classes (`Recipe.twins`).

    Returns:
        The dataset, or what is left of it.

    Raises:
        DataError: If they are refused; the message lists them all.
    """
    found = dataset.contradictions
    if not found:
        return dataset
    count = f"{counted(len(found), 'image(s)')} of '{dataset.full_name}' {agreeing(len(found), '(has|have)')}"
    if (twins or ("keep" if dataset.is_published else "refuse")) == "refuse":
        raise DataError(
            f"{count} copies under different classes: remove the wrong copies, leave all copies out with twins='drop' "
            "(--set twins=drop), or use them as they are with twins='keep'.",
            list(map(str, found)),
        )
    if twins == "drop":
        rest = dataset.without_contradictions
        done = counted(rest.twins_left_out, "(copy|copies) in the classes (is|are) left out")
    else:
        rest, done = (
            dataset.with_contradictions,
            "they are used as they are; leave them out with twins='drop' (--set twins=drop)",
        )
    example = f"{found[0]}{', ...' * (len(found) > 1)}"
    warnings.warn(f"{count} copies under different classes ({example}); {done}.", stacklevel=2)
    return rest


def twins_found(datasets: Iterable[CellDataset]) -> dict[str, int]:
    """Number of cells of each dataset that are kept or left out as copies under different classes; without zeros."""
    found = {
        one.full_name: one.twins_left_out + sum(len(twins.rows) for twins in one.contradictions)
        for one in datasets
    }
    return {name: count for name, count in found.items() if count}


def check_classes(offer: Offer, recipe: Recipe, target: CellDataset) -> None:
    """Refuse labelled cells of a single class.

    Raises:
        ConfigurationError: If so.
    """
    found = [name for name, count in zip(offer.classes, offer.support, strict=True) if count]
    if len(found) == 1:
        raise ConfigurationError(
            f"The adapter '{recipe.adapter.name}', or its search, learns from labels, but all labelled cells of "
            f"{target.full_name} are of one class, {found[0]}: give cells of at least 2 classes, or use the preset "
            "'best_without_labels'."
        )


def trained_classes(recipe: Recipe) -> tuple[str, ...]:
    """The classes that the source model of a recipe tells apart."""
    if recipe.source_model is not None:
        return recipe.source_model.description.classes
    return recipe.source_taxonomy.build().classes


def check_head(recipe: Recipe, taxonomy: Taxonomy, trained: Sequence[str]) -> None:
    """Refuse an adapter that needs the source model's head where that head tells other classes apart than the target has.

    Args:
        recipe: The recipe.
        taxonomy: The classes of the target.
        trained: The classes of the source model.

    Raises:
        ConfigurationError: If so.
    """
    if taxonomy.open:  # its classes are known with the labels
        return
    if recipe.adapter.start is not Start.SOURCE or sums(taxonomy, trained) is not None:
        return
    for part in recipe.adapter.parts():
        if part.makes_head and Need.SOURCE not in part.needs:
            return
        if part.uses_head or Need.SOURCE in part.needs:
            break
    raise ConfigurationError(
        f"The source model tells {', '.join(trained)} apart, and the target has {', '.join(taxonomy.classes)}: only its "
        f"encoder and embedding can be used, and the adapter '{recipe.adapter.name}' needs its head. Choose one that learns a "
        "head from labels, such as full, head_only, logistic or ncm."
    )


def sources_beside(aim: CellDataset, recipe: Recipe, workspace: Workspace) -> tuple[CellDataset, ...]:
    """The loaded source datasets; empty if no part of the run depends on them, or a trained source model replaces them.

    Raises:
        ConfigurationError: If they share cells with the target, or with each other, or something takes source images that a
            trained source model does not hold.
        DataError: If the files of a dataset are missing, or images of it have several classes.
    """
    if recipe.source_model is not None:
        needing = source_images_for(recipe)
        if needing:
            need = "needs" if len(needing) == 1 else "need"
            raise ConfigurationError(f"{', '.join(needing)} {need} {without_images(recipe.source_model)}")
        return ()
    if aim.full_name in [source.name for source in recipe.sources]:
        raise ConfigurationError(
            f"'{aim.full_name}' is both the target and a source, so the source model would have seen the query "
            f"images; remove it from the sources ({', '.join(source.name for source in recipe.sources)})."
        )
    twins = [spec.name for spec in recipe.sources if aim.shares_cells_with(spec.loader)]
    if twins:
        raise ConfigurationError(
            f"The target '{aim.full_name}' shows the same cells as the source '{twins[0]}' in other files, so the source "
            "model would have seen the query cells; choose another target or source."
        )
    for one, other in combinations(recipe.sources, 2):
        if one.loader.shares_cells_with(other.loader):
            raise ConfigurationError(
                f"The sources '{one.name}' and '{other.name}' show the same cells, so that cells held out of one would be "
                "training cells of the other; use only one of them."
            )
    sources: tuple[CellDataset, ...] = ()
    if needs_sources(recipe):
        classes = recipe.source_taxonomy
        found = _found(recipe, workspace)
        sources = tuple(loaded(source, recipe, workspace, classes) for source in found)
    # A dataset may have two names (`synthetic` is `synthetic/0`), or be stored under two.
    shared = [
        source.full_name
        for source in sources
        if source.full_name == aim.full_name or source.fingerprint == aim.fingerprint
    ]
    if shared:
        raise ConfigurationError(
            f"The target '{aim.full_name}' contains the same images as the source '{shared[0]}'; choose another target or "
            "source."
        )
    return sources


def _found(recipe: Recipe, workspace: Workspace) -> list[CellDataset]:
    """The source datasets; where nobody named them and they are not there, the error offers the trained models.

    Raises:
        ConfigurationError: If there is no folder for one.
        DataError: If a folder does not hold its dataset.
    """
    try:
        classes = recipe.source_taxonomy
        return [
            workspace.load(source.name, classes, **source.options).with_coarse for source in recipe.sources
        ]
    except ConfigurationError as error:
        if "sources" in recipe.model_fields_set or not registry.names():
            raise
        raise ConfigurationError(
            f"{error} Or start from a trained source model, which needs no source images: source_model= or --model "
            f"({', '.join(registry.names())})."
        ) from error
