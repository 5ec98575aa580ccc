"""The released pool without labels, each target left out of its sources (`benchmarks/results/pooled_without_labels/`).

    python -m benchmarks.studies.pooled_without_labels --data ~/wbc

Five sets as sources, none of them the target, pooled and trained as the released model `pooled` (`releases.py`); targets
Jiangxi Tecom, Jin Woo Choi, Raabin, BCCD; every cell framed, 96 px; protocol `clean`; three source seeds, three draws.
`lame_5` ... `lame_40` are the adapter `lame` with so many neighbours. `best` is, on each target, what was best on
the other three; `lame_20+tta` is the preset `best_without_labels`. `benchmarks.questions.without_labels` compares more
methods on one draw.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks.common.releases import POOLED, TARGETS
from benchmarks.common.study import StudyScript, main
from cellda.presets import CAP

ADAPTERS: Mapping[str, Any] = {
    "none": "none",
    "tta@cell": "tta",
    **{f"lame_{number}@cell": {"name": "lame", "neighbours": number} for number in (5, 10, 20, 40)},
    "lame_20+tta@cell": [{"name": "lame", "neighbours": 20}, "tta"],
}

STUDY = StudyScript(
    "pooled_without_labels",
    {name: POOLED.with_(adapter=adapter) for name, adapter in ADAPTERS.items()},
    TARGETS,
    main="none",
    seeds=(0, 1, 2),
    tables=("leaderboard_without_labels", "conditions"),
    cap=CAP,
    best=True,
    leave_out=True,
)

if __name__ == "__main__":
    main(STUDY, __doc__)
