"""The card of a source model for people: `README.md` in the form of Hugging Face."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from cellda import Recipe
from cellda.source_models.cards import Card, Scores, Trained

LICENCES = {
    "Apache-2.0": "apache-2.0",
    "CC BY 3.0": "cc-by-3.0",
    "CC BY 4.0": "cc-by-4.0",
    "MIT": "mit",
}
"""Terms of datasets under the names of Hugging Face."""

PAGE = """\
---
{front}---

# {name}

{summary}

A classifier of six kinds of blood cells that [cellda](https://github.com/cellda/cellda) adapts to other laboratories:
{made}, trained for {epochs} epochs on {cells} cells; {held} more were held out.
Weights of layers are stored in half precision, and the numbers below are those of the stored weights.

```python
import cellda.source_models
from cellda import Recipe

model = cellda.source_models.load("{name}")
recipe = Recipe(source_model="{name}")
```

## Trained on

{sources}

It has seen {never}.

## Accuracy without any label of the laboratory

Cells of its sources that were held out from training:

{held_out}

The same recipe trained without the dataset (leave one dataset out), measured on all of its cells:

{left_out}

Balanced accuracy is over the classes with at least 5 cells; ECE is the expected calibration error (15 bins).

## Limits

Research software, not a medical device. Expect the accuracy of the second table, or less, on another laboratory's cells, and
measure it on labelled cells of your own with `cellda run`. A result on one of the datasets above is optimistic, because the
model has seen it. The terms of the datasets hold for their images; who uses the model cites them.

Weights: SHA-256 `{weights}`. `card.json` holds all of this for programs, with the recipe, fingerprints of the data, and
statistics of embeddings, sharpness and size of every class.
"""


def page(name: str, card: Card) -> str:
    """The page of a model: front matter, and what it was trained on, how well it does, and what it is not for."""
    recipe = Recipe(**card.recipe)
    backbone, framing, normalizer = recipe.backbone, recipe.framing.name, recipe.normalizer.name
    front = yaml.safe_dump(_front_matter(name, card, recipe), sort_keys=False, allow_unicode=True)
    cells = sum(sum(source.counts.values()) for source in card.sources)
    held = sum(scores.cells for scores in card.held_out.values())
    return PAGE.format(
        front=front,
        name=name,
        summary=card.summary,
        made=f"`{backbone.name}` at {backbone.image_size} px, framing `{framing}`, normalizer `{normalizer}`",
        epochs=recipe.training.epochs,
        cells=f"{cells - held:,}",
        held=f"{held:,}",
        sources=_table(
            ("dataset", "cells, with those held out", "terms", "citation"), map(_source, card.sources)
        ),
        never=f"no {', '.join(card.never_seen)}" if card.never_seen else "cells of all six classes",
        held_out=_scores(card.held_out),
        left_out=_scores(card.left_out) if card.left_out else "Not measured.",
        weights=card.weights,
    )


def _front_matter(name: str, card: Card, recipe: Recipe) -> dict[str, Any]:
    terms = {source.licence for source in card.sources}
    known = LICENCES.get(next(iter(terms))) if len(terms) == 1 else None
    licence = {"license": known} if known else {"license": "other", "license_name": "terms-of-the-datasets"}
    results = [
        _result(dataset, scores, split)
        for split, found in (("held out", card.held_out), ("left out", card.left_out))
        for dataset, scores in found.items()
    ]
    return {
        **licence,
        "library_name": "cellda",
        "pipeline_tag": "image-classification",
        "tags": ["haematology", "white-blood-cells", "domain-adaptation"],
        "base_model": f"timm/{recipe.backbone.name}",
        "datasets": [source.name for source in card.sources],
        "metrics": ["accuracy"],
        "model-index": [{"name": name, "results": results}],
    }


def _result(dataset: str, scores: Scores, split: str) -> dict[str, Any]:
    metrics = [
        {"type": kind, "value": getattr(scores, field), "name": field.replace("_", " ")}
        for kind, field in (("accuracy", "accuracy"), ("accuracy", "balanced_accuracy"), ("ece", "ece"))
        if getattr(scores, field) is not None
    ]
    return {
        "task": {"type": "image-classification"},
        "dataset": {"name": dataset, "type": dataset, "split": split},
        "metrics": metrics,
    }


def _source(source: Trained) -> tuple[str, ...]:
    counts = sum(source.counts.values())
    linked = f"[{source.title}]({source.url})" if source.url.startswith("http") else source.title
    return linked, f"{counts:,}", source.licence, source.citation


def _scores(found: Mapping[str, Scores]) -> str:
    rows = [
        (name, f"{one.cells:,}", *map(_value, (one.accuracy, one.balanced_accuracy, one.ece)))
        for name, one in found.items()
    ]
    return _table(("dataset", "cells", "accuracy", "balanced accuracy", "ECE"), rows)


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
