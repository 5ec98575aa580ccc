"""The pool of the released model with labels, each target left out of its sources (`benchmarks/results/pooled/`).

    python -m benchmarks.studies.pooled --data ~/wbc

Five sets as sources, none of them the target, pooled and trained as the released model `pooled` (`releases.py`); targets
Jiangxi Tecom (21 labelled cells), Jin Woo Choi (20), Raabin (100), BCCD (100); every cell framed, 96 px; protocol `clean`;
three draws, one source seed. `none` is the source model, which uses no labels; `full+second_view+tta` is the preset `best`.
To run it in parts, over several sessions, side
by side: `--targets raabin --only-run`.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks.common.releases import POOLED, TARGETS
from benchmarks.common.study import StudyScript, main
from cellda.presets import CAP

ADAPTERS: Mapping[str, Any] = {
    "none": "none",
    "second_view+tta@cell": ["second_view", "tta"],
    "full+tta@cell": ["full", "tta"],
    "full+second_view+tta@cell": ["full", "second_view", "tta"],
}

STUDY = StudyScript(
    "pooled",
    {name: POOLED.with_(adapter=adapter) for name, adapter in ADAPTERS.items()},
    TARGETS,
    main="full+tta@cell",
    tables=("leaderboard", "conditions", "comparison_balanced"),
    cap=CAP,
    leave_out=True,
)

if __name__ == "__main__":
    main(STUDY, __doc__)
