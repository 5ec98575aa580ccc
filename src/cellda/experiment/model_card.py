"""The card of an adapted model: a README in its folder, for whoever finds it later."""

from pathlib import Path

from cellda.models.classifier import CellClassifier
from cellda.recipe import Recipe
from cellda.reporting.tables.measured import confusion_table, doubts, headline
from cellda.runtime.versions import versions
from cellda.text import shown

CARD = "README.md"


def write_card(model: CellClassifier, recipe: Recipe, folder: Path) -> None:
    """Write what a model is, how it was made and how good it is into its folder."""
    (folder / CARD).write_text(card(model, recipe), encoding="utf-8")


def card(model: CellClassifier, recipe: Recipe) -> str:
    """The card as Markdown."""
    source = recipe.source_model
    begun = (
        f"the source model `{source.name}`"
        if source
        else ", ".join(f"`{one.name}`" for one in recipe.sources)
    )
    evidence = model.evidence
    lines = [
        "# A classifier of white blood cells",
        "",
        f"Made with cellda {versions('cellda')['cellda']} from {begun}, by the adapter `{recipe.adapter.name}`. The whole "
        "recipe is in `recipe.yaml`; what was used and left out of the cells, in `accounts.json`.",
        "",
        f"It tells apart: {', '.join(model.classes)}." + _present(model),
        "",
        "## How good is it?",
        "",
    ]
    if evidence is None:
        lines += [
            "It was never measured on labelled cells of this laboratory: nothing says how many of its predictions are right."
        ]
    else:
        lines += headline(evidence.cells, evidence.folds, searched=evidence.searched)
        lines += ["", confusion_table(evidence.cells).to_markdown(), *doubts(evidence.cells)]
        lines += [
            "",
            "`evidence.parquet` holds these predictions, with the paths of the images; all numbers are computed from it. "
            "`model.safetensors` also holds small pictures of the labelled cells.",
        ]
    lines += [
        "",
        "It is made for images of the same microscope, stain and camera as its labelled cells. Images that are unlike them "
        "are flagged, but not all of them can be noticed.",
        "",
        "Use it: `cellda predict THIS_FOLDER IMAGES`. Research software, not a medical device.",
    ]
    return "\n".join(map(shown_lines, lines)) + "\n"


def shown_lines(text: str) -> str:
    """A text of several lines, without control characters."""
    return shown(text, lines=True)


def _present(model: CellClassifier) -> str:
    return (
        f" Only {', '.join(model.present)} were stated to occur, and no other is predicted."
        if model.present
        else ""
    )
