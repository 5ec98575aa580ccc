"""The six conditions on four real targets: the first table of cellda (README, `benchmarks/results/first_light/`).

    python -m benchmarks.studies.first_light --data ~/wbc

Source Barcelona; targets Jiangxi Tecom (21 labelled cells), Jin Woo Choi (20), Raabin (100), BCCD (100); preset `laptop`;
protocol `clean`; three draws; source training exactly as in the paper, which was the default then. About 50 minutes on two
CPU cores; after an interruption it resumes.
"""

from benchmarks.common.study import StudyScript, main
from cellda import Recipe
from cellda.presets import CONDITIONS

TARGETS = ("jiangxi_tecom", "jin_woo_choi", "raabin", "bccd")
BASE = Recipe.preset("laptop").with_(sources=["barcelona"])
RECIPES = {name: BASE.with_preset(name) for name in CONDITIONS}

STUDY = StudyScript(
    "first_light",
    {name: recipe.with_preset("published_training") for name, recipe in RECIPES.items()},
    TARGETS,
    main="our_workflow",
    tables=("summary", "conditions", "comparison", "paper_targets"),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
