"""A model with the recipe that made it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cellda.datasets.reading.account import Account
from cellda.experiment.model_card import write_card
from cellda.models.classifier import CellClassifier
from cellda.recipe import Recipe

RECIPE = "recipe.yaml"
ACCOUNTS = "accounts.json"


def keep(model: CellClassifier, recipe: Recipe, folder: Path, accounts: Sequence[Account] = ()) -> None:
    """Save a model together with the recipe that made it, and what was used and left out of the cells that it was adapted to.

    Runs have that in their record.
    """
    model.save(folder)
    (folder / RECIPE).write_text(recipe.to_yaml(), encoding="utf-8")
    write_card(model, recipe, folder)
    if accounts:
        content = json.dumps([asdict(account.brief()) for account in accounts], indent=2)
        (folder / ACCOUNTS).write_text(content + "\n", encoding="utf-8")
