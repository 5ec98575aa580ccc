"""Make the trained source models that ship with cellda.

    python -m benchmarks.release --data ~/wbc

Trains each model and, for every dataset that it is measured on, the same recipe without that dataset; rounds it to half
precision, measures it, and writes weights, description, card and page into `src/cellda/source_models/<name>/`. Finished
trainings stay in the store, and the same call on the same machine writes the same bytes. Long releases are made in parts, also
side by side: `--only-run raabin bccd` trains the models without these datasets and writes nothing, `--only-run` alone the
whole models. Make a model again only if it was measured to be better: every version stays in git's history.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.left_out import without
from benchmarks.common.options import command, command_line, with_store
from benchmarks.common.releases import RELEASES
from benchmarks.common.releasing import make, trained
from cellda.experiment.workspace import Workspace
from cellda.training.loop import Trainer

HOME = Path(__file__).parents[1] / "src" / "cellda" / "source_models"


def main(given: Sequence[str] | None = None) -> None:
    """Make the models that the command line names, or train them in parts."""
    known = {release.name: release for release in RELEASES}
    parser = with_store(command_line(__doc__))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which models (default: {' '.join(known)})")
    parser.add_argument("--data", type=Path, help="folder that holds one folder per dataset name")
    parser.add_argument(
        "--home", type=Path, default=HOME, help="where their folders are written (default: the package)"
    )
    parser.add_argument(
        "--only-run",
        nargs="*",
        metavar="DATASET",
        help="train the models without these datasets, write nothing",
    )
    chosen = parser.parse_args(given)
    for name in chosen.names:
        if name not in known:
            parser.error(f"there is no release '{name}'; known: {', '.join(known)}")
    workspace = Workspace(chosen.data, chosen.store)
    for name in chosen.names or known:
        release = known[name]
        if chosen.only_run is None:
            print(make(release, workspace, chosen.home))
            continue
        recipes = [without(release.recipe, left_out) for left_out in chosen.only_run] or [release.recipe]
        for recipe in recipes:
            if recipe is not None:
                trained(recipe, workspace, Trainer(recipe.device))


if __name__ == "__main__":
    command(main)
