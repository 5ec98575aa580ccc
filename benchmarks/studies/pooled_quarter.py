"""A quarter of the labels: 5, 5, 25 and 25 cells (`benchmarks/results/pooled_quarter/`).

    python -m benchmarks.studies.pooled_quarter --data ~/wbc

Otherwise as `pooled.py`.
"""

from dataclasses import replace

from benchmarks.common.study import main
from benchmarks.studies.pooled import STUDY as WHOLE

STUDY = replace(
    WHOLE, name="pooled_quarter", n={"jiangxi_tecom": 5, "jin_woo_choi": 5, "raabin": 25, "bccd": 25}
)

if __name__ == "__main__":
    main(STUDY, __doc__)
