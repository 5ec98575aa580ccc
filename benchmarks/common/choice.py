"""What the scripts of the paper's figures ask for: datasets, recipe, and where results go."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

import cellda.datasets
from cellda import Recipe
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.card import card
from cellda.errors import CelldaError, ConfigurationError
from cellda.experiment.run import Run
from cellda.experiment.workspace import Workspace

DRAWN = ("synthetic/0", "synthetic/1", "synthetic/3", "synthetic/6", "synthetic/7", "synthetic/9")
"""What is shown where no folder is given: laboratories whose difference is easily seen."""

FIGURES = Path("cellda-results")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A command line with `--data` and `--out`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="folder that holds one folder per dataset name (default: drawn cells)"
    )
    parser.add_argument(
        "--out", type=Path, default=FIGURES, help=f"folder of the results (default: {FIGURES})"
    )
    return parser


def with_recipe(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add `--recipe`, `--preset`, `--sources`, `--draw`, `--seed` and `--store`."""
    parser.add_argument("--recipe", type=Path, help="YAML file of a recipe (default: the paper's)")
    parser.add_argument("--preset", nargs="+", default=[], help="presets, for example laptop")
    parser.add_argument("--sources", nargs="+", help="sources instead of the recipe's")
    parser.add_argument("--draw", type=int, default=0, help="number of the draw (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the source model (default: 0)")
    parser.add_argument("--store", type=Path, help="where runs lie (default: the user's cache folder)")
    return parser


def recipe_of(given: argparse.Namespace) -> Recipe:
    """The recipe that `with_recipe`'s options name."""
    recipe = Recipe() if given.recipe is None else Recipe.from_yaml(given.recipe)
    recipe = recipe.with_preset(*given.preset)
    if given.sources is not None:
        recipe = recipe.with_(sources=given.sources)
    return recipe.with_(seed=given.seed, few_shot={"draw": given.draw})


def datasets_of(
    data: Path | None, names: Sequence[str] | None = None, without: Sequence[str] = ()
) -> list[CellDataset]:
    """The datasets named, or else all that the folder holds, or else drawn ones.

    Args:
        data: Folder that holds one folder per dataset name.
        names: Names of datasets; each must be there.
        without: Names to leave out of what is found, such as those of the sources.

    Raises:
        ConfigurationError: If none is named and none is found.
    """
    root = DataRoot(data)
    return [root.load(name) for name in (names_of(data, without) if names is None else names)]


def names_of(data: Path | None, without: Sequence[str] = ()) -> list[str]:
    """Names of all datasets that the folder holds, or else of drawn ones.

    Args:
        data: Folder that holds one folder per dataset name.
        without: Names to leave out, together with datasets that show their cells in other files.

    Raises:
        ConfigurationError: If none is found.
    """
    if data is None:
        return [name for name in DRAWN if name not in without]
    folder = data.expanduser()
    if not folder.is_dir():
        raise ConfigurationError(
            f"There is no folder {folder}; --data names the one that holds a folder per dataset."
        )
    cards = {name: card(name) for name in cellda.datasets.names()}
    left_out = [cards[name.partition("/")[0]] for name in without]
    names = [
        name
        for name, one in cards.items()
        if name not in without
        and not any(one.shares_cells_with(other) for other in left_out)
        and (folder / name).is_dir()
    ]
    if not names:
        held = [name for name in without if (folder / name.partition("/")[0]).is_dir()]
        raise ConfigurationError(
            f"There is no dataset in {folder}"
            + (f" besides {', '.join(held)}" if held else "")
            + f": it needs a folder named after one of {', '.join(cards)}."
        )
    return names


def source_run(recipe: Recipe, workspace: Workspace) -> Run:
    """The run of a source model alone; it depends on no target, so that a drawn one stands in."""
    used = [source.name for source in recipe.sources]
    stand_in = next(name for name in DRAWN if name not in used)
    return Run.prepare(recipe.with_(adapter="none"), stand_in, workspace)


def title_of(dataset: CellDataset) -> str:
    """How figures call a dataset: its name in print, or that of a drawn laboratory."""
    return dataset.full_name if dataset.drawn or not dataset.title else dataset.title


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Print a table and write it as csv."""
    file.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False, float_format="%.4f")
    print(table.round(3).to_string(index=False))


def command(main: Callable[[], None]) -> None:
    """Run a script; a user's mistake is printed as its sentence, and the status is 2."""
    try:
        main()
    except CelldaError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
