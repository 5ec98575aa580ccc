"""Tables of made-up predictions, for tests of what is computed from them."""

import numpy as np
import pandas as pd

from cellda.evaluation.condition import Condition
from cellda.evaluation.predictions import validate
from tiny import CLASSES, PROBABILITIES


def run(
    condition: str,
    target: str,
    draw: int,
    skill: float,
    *,
    adapter: str = "",
    labels_used: int = 24,
    oracle: bool = False,
    present: str = "all",
) -> pd.DataFrame:
    """70 predictions of one run; `skill` is the logit of the true class, and names of bounds make bounds."""
    rng = np.random.default_rng([draw, len(target), int(10 * skill)])
    labels = np.repeat(CLASSES[:4], [20, 10, 25, 15])
    logits = rng.normal(size=(len(labels), 6))
    logits[np.arange(len(labels)), [CLASSES.index(name) for name in labels]] += skill
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    bound = condition in ("none", "no_fine_tune", "target_only")
    facts = {
        "framing": "none",
        "normalizer": "reinhard",
        "n": 24,
        "labels_used": labels_used,
        "source": "barcelona",
    }
    facts |= {"adapter": adapter or condition, "oracle": oracle, "bound": bound, "present": present}
    key = Condition(name=condition, **facts).columns()
    key |= {"target": target, "draw": draw, "seed": 0, "protocol": "clean"}
    rows = {
        "path": [f"{i:03d}.png" for i in range(len(labels))],
        "group": [f"s{i % 9}" for i in range(len(labels))],
    }
    rest = {"label": labels, "predicted": np.array(CLASSES)[p.argmax(1)]}
    return validate(
        pd.DataFrame({**key, **rows, **rest, **{c: p[:, i] for i, c in enumerate(PROBABILITIES)}})
    )
