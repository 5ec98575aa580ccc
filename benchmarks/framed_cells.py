"""What framed cells are worth, and stain jitter in source training (`benchmarks/results/framed_cells/`).

    python benchmarks/framed_cells.py --data ~/wbc

The source model as it is, and the proposed workflow: on whole images, with stain jitter in source training (`@jitter`), on
framed cells (`@framed`), and with both (`@cell`, as in `zoo.py`). Three draws; otherwise as in `zoo.py`.
"""

from first_light import TARGETS
from study import Study, main
from zoo import CELL, SMALL

BASES = {
    "": SMALL,
    "@jitter": CELL.with_(framing="none"),
    "@framed": SMALL.with_(framing="cell"),
    "@cell": CELL,
}
ADAPTERS = {"none": "none", "our_workflow": "full"}

STUDY = Study(
    "framed_cells",
    {
        condition + where: base.with_(adapter=adapter, search=None)
        for condition, adapter in ADAPTERS.items()
        for where, base in BASES.items()
    },
    TARGETS,
    main="our_workflow",
    draws=(0, 1, 2),
    tables=("summary", "conditions"),
    families=tuple(tuple(condition + where for where in BASES) for condition in ADAPTERS),
)

if __name__ == "__main__":
    main(STUDY, __doc__)
