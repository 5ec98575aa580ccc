"""Command lines of the scripts: their options, and how a user's mistake is reported."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cellda import Recipe
from cellda.errors import CelldaError

FIGURES = Path("cellda-results")


def command_line(description: str | None) -> argparse.ArgumentParser:
    """A command line whose `--help` shows the description as it is written."""
    started = getattr(sys.modules["__main__"], "__spec__", None)
    return argparse.ArgumentParser(
        prog=f"python -m {started.name}" if started is not None else None,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A command line with `--data` and `--out`."""
    parser = command_line(description)
    parser.add_argument(
        "--data", type=Path, help="folder that holds one folder per dataset name (default: synthetic cells)"
    )
    parser.add_argument(
        "--out", type=Path, default=FIGURES, help=f"folder of the results (default: {FIGURES})"
    )
    return parser


def with_store(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add `--store`."""
    parser.add_argument(
        "--store", help="folder or URL (s3://...) of finished runs (default: the user's cache folder)"
    )
    return parser


def on_targets(
    parser: argparse.ArgumentParser, out: Path, targets: Sequence[str], draws: int
) -> argparse.ArgumentParser:
    """Add `--data`, which must be given, `--out`, `--targets`, `--draws` and `--store`.

    Args:
        parser: The command line.
        out: Usual folder of the results.
        targets: All targets.
        draws: Usual number of draws.
    """
    parser.add_argument(
        "--data", type=Path, required=True, help="folder that holds one folder per dataset name"
    )
    parser.add_argument("--out", type=Path, default=out, help="folder of the results")
    parser.add_argument("--targets", nargs="+", default=targets, choices=targets)
    parser.add_argument("--draws", nargs="+", type=int, default=range(draws))
    return with_store(parser)


def with_recipe(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add `--recipe`, `--preset`, `--sources`, `--draw`, `--seed` and `--store`."""
    parser.add_argument("--recipe", type=Path, help="YAML file of a recipe (default: the paper's)")
    parser.add_argument("--preset", nargs="+", default=[], help="presets, for example laptop")
    parser.add_argument("--sources", nargs="+", help="sources instead of the recipe's")
    parser.add_argument("--draw", type=int, default=0, help="number of the draw (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the source model (default: 0)")
    return with_store(parser)


def recipe_of(given: argparse.Namespace) -> Recipe:
    """The recipe that the options of `with_recipe` name."""
    recipe = Recipe() if given.recipe is None else Recipe.from_yaml(given.recipe)
    recipe = recipe.with_preset(*given.preset)
    if given.sources is not None:
        recipe = recipe.with_(sources=given.sources)
    return recipe.with_(seed=given.seed, few_shot={"draw": given.draw})


def command(main: Callable[[], None]) -> None:
    """Run a script; print a user's mistake as one sentence and exit with status 2."""
    try:
        main()
    except CelldaError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
