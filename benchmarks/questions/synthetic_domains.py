"""Whether synthetic cells are learnable, and whether the shift hurts (`benchmarks/results/synthetic_domains/`).

    python -m benchmarks.questions.synthetic_domains

For each of the ten domains: accuracy within the domain (held-out fifth of its own cells) and of the model trained on
`synthetic/0` without adaptation. Preset `laptop` at 96 px, 100 cells per class, 10 epochs with frozen BatchNorm statistics,
because 300 steps are too few for them to converge. About eight minutes on two CPU cores.
"""

import json
from collections.abc import Sequence

import pandas as pd
from rich.console import Console

from benchmarks.common.options import command, command_line, with_store
from benchmarks.common.results import RESULTS
from cellda import Recipe
from cellda.experiment.run import Run
from cellda.experiment.stages import SOURCE_RECORD, source_model
from cellda.experiment.workspace import Workspace
from cellda.runtime.storage.store import Store
from cellda.training.loop import Trainer

FILE = RESULTS / "synthetic_domains" / "accuracy.csv"
DOMAINS = [f"synthetic/{number}" for number in range(10)]
SOURCE = "synthetic/0"


def recipe(source: str) -> Recipe:
    """Train on one domain, without adaptation."""
    return Recipe.preset("laptop", "no_fine_tune").with_(
        sources=[source],
        backbone={"image_size": 96},
        training={"epochs": 10, "lr": 5e-4, "one_cycle": True, "bn": "frozen"},
    )


def main(given: Sequence[str] | None = None) -> None:
    """Measure all domains and write the table."""
    store = Store(with_store(command_line(__doc__)).parse_args(given).store)
    trainer = Trainer()
    rows = []
    for domain in DOMAINS:
        other = SOURCE if domain != SOURCE else "synthetic/1"
        case = Run.prepare(recipe(domain), other, Workspace(store=store))
        record = json.loads((source_model(case, trainer) / SOURCE_RECORD).read_text(encoding="utf-8"))
        row = {"domain": domain, "in_domain": record["held_out_accuracy"][domain]}
        if domain != SOURCE:
            result = recipe(SOURCE).run(domain, store=store, keep_model=False)
            row["source_only"] = result.metrics.accuracy.value
            row["drop"] = row["in_domain"] - row["source_only"]
        rows.append(row)
    table = pd.DataFrame(rows)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(FILE, index=False, float_format="%.4f")
    Console().print(table.to_string(index=False))


if __name__ == "__main__":
    command(main)
