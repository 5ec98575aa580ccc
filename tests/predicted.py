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


def table_of(said: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """A prediction table of these probabilities `(N, classes)` and class indices `(N,)`, of one run; no groups."""
    facts = {"framing": "none", "normalizer": "identity", "n": 0, "labels_used": 0, "source": "barcelona"}
    key = Condition(name="made up", adapter="none", **facts).columns()
    key |= {"target": "nowhere", "draw": 0, "seed": 0, "protocol": "clean", "group": None}
    names = np.array(classes)
    rows = {"path": [f"{number:04d}.png" for number in range(len(labels))], "label": names[labels]}
    rest = {f"p_{name}": said[:, place] for place, name in enumerate(classes)}
    return validate(pd.DataFrame({**key, **rows, "predicted": names[said.argmax(1)], **rest}))
