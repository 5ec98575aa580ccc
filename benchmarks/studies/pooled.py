"""The pool of the released model with labels, each target left out of its sources (`benchmarks/results/pooled/`).

    python -m benchmarks.studies.pooled --data ~/wbc

Five sets as sources, none of them the target, pooled and trained as the released model `pooled` (`releases.py`); targets
Jiangxi Tecom (21 labelled cells), Jin Woo Choi (20), Raabin (100), BCCD (100); every cell framed, 96 px; protocol `clean`;
three draws. `lame_20` is the adapter `lame` with 20 neighbours. `best` is, on each target, the condition that was best on the
other three. To run it in parts, over several sessions, side by side: `--targets raabin --only-run`.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks.common.releases import POOLED, TARGETS
from benchmarks.common.study import StudyScript, main
from cellda.presets import CAP

LAME = {"name": "lame", "neighbours": 20}
ADAPTERS: Mapping[str, Any] = {
    "full+tta@cell": ["full", "tta"],
    "full+label_propagation+tta@cell": ["full", "label_propagation", "tta"],
    "full+lame_20+tta@cell": ["full", LAME, "tta"],
}

STUDY = StudyScript(
    "pooled",
    {name: POOLED.with_(adapter=adapter) for name, adapter in ADAPTERS.items()},
    TARGETS,
    main="full+tta@cell",
    tables=("leaderboard", "conditions", "comparison_balanced"),
    cap=CAP,
    best=True,
    leave_out=True,
)

if __name__ == "__main__":
    main(STUDY, __doc__)
