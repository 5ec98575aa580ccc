"""Give the stored predictions the columns of their conditions' facts (once; this script is then removed).

    python -m benchmarks.convert_results --data ~/wbc

The facts are those of the run that today's code prepares from the study's recipe for each target and draw. They are accepted only
where that run predicts the very cells that are stored, and, where `runs.csv` is there, used as many labels.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from benchmarks.common.study import RESULTS, StudyScript
from benchmarks.studies import (
    ablation,
    beyond,
    colour_space,
    defaults,
    first_light,
    published_protocol,
    sample_size,
    stain_jitter,
    swapped_labels,
    tuning,
    zoo,
    zoo_search,
)
from cellda import Recipe
from cellda.data.root import DataRoot
from cellda.datasets.reading.cell_table import cell_names
from cellda.evaluation.condition import Condition
from cellda.evaluation.predictions import COLUMNS, RUN, write_predictions
from cellda.experiment.naming import BOUND_NAMES, condition_of, source_condition
from cellda.experiment.run import Run
from cellda.runtime.store import Store

STUDIES: Mapping[str, StudyScript] = {
    "ablation": ablation.STUDY,
    "beyond": beyond.STUDY,
    "colour_space": colour_space.STUDY,
    "conditions": ablation.STUDY,
    "defaults": defaults.STUDY,
    "first_light": first_light.STUDY,
    "published_protocol": published_protocol.STUDY,
    "sample_size": sample_size.STUDY,
    "search": tuning.STUDY,
    "stain_jitter": stain_jitter.STUDY,
    "swapped_labels": swapped_labels.STUDY,
    "zoo": zoo.STUDY,
    "zoo_search": zoo_search.STUDY,
}
OURS = first_light.RECIPES["our_workflow"]


def main() -> None:
    """Convert every file of predictions in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    root, store = DataRoot(parser.parse_args().data), Store(tempfile.mkdtemp())

    def prepared(recipe: Recipe, target: str) -> Run:
        return Run.prepare(recipe, target, root, store, oracle=True)

    def facts(recipe: Recipe, name: str, rows: pd.DataFrame) -> Condition:
        first = rows.iloc[0]
        seeded = recipe.with_(
            seed=int(first["seed"]), protocol=first["protocol"], few_shot={"draw": int(first["draw"])}
        )
        run = prepared(seeded, first["target"])
        expected = cell_names(run.target.table, run.scored)
        assert sorted(expected) == sorted(rows["path"]), (name, first.to_dict())
        return condition_of(run).model_copy(update={"name": name, "bound": name in BOUND_NAMES})

    for file in sorted(RESULTS.rglob("*.parquet")):
        table, folder = pd.read_parquet(file), file.parent.name
        recipes = recipe_finder(folder)
        runs = pd.read_csv(file.with_name("runs.csv")) if file.with_name("runs.csv").is_file() else None
        parts = []
        for key, rows in table.groupby(list(RUN), sort=False):
            name, target = str(key[0]), str(key[1])
            if folder == "source_accuracy":
                condition = source_condition(prepared(OURS.with_(adapter="none"), "raabin"))
            else:
                condition = facts(recipes(name, target), name, rows)
            if runs is not None:
                (one,) = runs.query(
                    "condition == @key[0] and target == @key[1] and draw == @key[2] and seed == @key[3] and protocol == @key[4]"
                ).to_dict("records")
                assert one["labels_used"] == condition.labels_used, (key, one, condition)
                assert one["oracle"] == condition.oracle, (key, one, condition)
            parts.append(rows.assign(**condition.columns()))
        made = pd.concat(parts).sort_index()
        old = [name for name in COLUMNS if name in table.columns]
        pd.testing.assert_frame_equal(made[old], table[old], check_dtype=False)
        before = file.stat().st_size
        write_predictions(made, file)
        print(file.relative_to(RESULTS), len(made), before, file.stat().st_size, flush=True)


def recipe_finder(folder: str) -> Callable[[str, str], Recipe]:
    """Recipe of a condition on a target; that of the chosen condition, where it was chosen on other targets."""
    if folder not in STUDIES:  # speed: `our_workflow` before and after
        return lambda _name, _target: OURS
    recipes, best = STUDIES[folder].recipes, RESULTS / folder / "best.csv"
    chosen = {}
    if best.is_file():
        chosen = {(one.condition, one.target): one.chosen for one in pd.read_csv(best).itertuples()}
    return lambda name, target: recipes[chosen.get((name, target), name)]


if __name__ == "__main__":
    main()
