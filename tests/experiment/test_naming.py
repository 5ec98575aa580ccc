"""Names of conditions, and the facts of what a run did, as they stand in its predictions."""

from pathlib import Path

import pytest

from cellda import Recipe
from cellda.evaluation.condition import FACTS
from cellda.experiment.naming import name_of
from cellda.experiment.study import Study
from cellda.presets import CONDITIONS
from tiny import quiet, recipe, target


@pytest.mark.parametrize("size", [(), ("laptop",)])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_recipe_has_the_papers_name_for_it(size: tuple[str, ...], condition: str) -> None:
    assert name_of(Recipe.preset(*size, condition)) == condition


def test_the_name_of_a_recipe_that_is_not_the_papers() -> None:
    own_target = Recipe.preset("head_only").with_(target_normalizer="identity")
    assert name_of(own_target) == "head_only+identity"
    assert name_of(Recipe(normalizer="identity")) == "full+identity"
    assert name_of(Recipe.preset("best")) == "full+second_view+tta@cell"
    assert name_of(Recipe(framing="center")) == "our_workflow@center"


def test_every_condition_undoes_the_edits_of_the_others() -> None:
    for first in CONDITIONS:
        for second in CONDITIONS:
            assert name_of(Recipe.preset(first, second)) == second


def facts(table, condition: str) -> dict[str, object]:
    """The one set of facts that a condition has."""
    (found,) = table.loc[table["condition"] == condition, list(FACTS)].drop_duplicates().to_dict("records")
    return found


def test_predictions_say_what_was_done(tmp_path: Path) -> None:
    quick = {"name": "head_only", "epochs": 1}
    oracle = {"trials": 1, "selector": "oracle"}
    recipes = {
        "none": recipe(adapter="none", few_shot={"n": 14}),
        "mine": recipe(adapter=[quick, "tta"], framing="center", target_normalizer="identity"),
        "scratch": recipe(adapter={"name": "from_scratch", "epochs": 1}),
        "head_only+oracle": recipe(adapter=quick, search=oracle),
    }
    study = Study(recipes, [target()], oracle=True, workspace=quiet(tmp_path))
    table = study.run()
    same = {
        "framing": "none",
        "normalizer": "reinhard",
        "oracle": False,
        "bound": False,
        "source": "synthetic/0",
        "present": "all",
    }
    # Of six classes, 14 cells give each two: `n` is what the draw asked for.
    assert facts(table, "none") == same | {"adapter": "none", "n": 14, "labels_used": 0, "bound": True}
    assert facts(table, "mine") == same | {
        "adapter": "head_only+tta",
        "framing": "center",
        "normalizer": "identity",
        "n": 18,
        "labels_used": 18,
    }
    assert facts(table, "scratch") == same | {
        "adapter": "from_scratch",
        "n": 18,
        "labels_used": 18,
        "source": "none",
    }
    query = (table["condition"] == "head_only+oracle").sum()
    assert facts(table, "head_only+oracle") == same | {
        "adapter": "head_only",
        "n": 18,
        "labels_used": 18 + query,
        "oracle": True,
    }
