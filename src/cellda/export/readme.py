"""The text next to an exported file: what it takes and returns, and what is not inside."""

import json

from cellda.export.graph import Graph

PAPER = (
    "M. Chossegros, F. Delhommeau, D. Stockholm, X. Tannier: Improving the generalizability of white blood cell "
    "classification with few-shot domain adaptation. Journal of Pathology Informatics 15, 100405, 2024."
)
DOI = "10.1016/j.jpi.2024.100405"


def readme(graph: Graph, file: str) -> str:
    """The text, in Markdown.

    Args:
        graph: What was exported.
        file: Name of the file.
    """
    facts = graph.metadata
    classes = ", ".join(json.loads(facts["classes"]))
    rows = "\n".join(f"| {name} | `{value}` |" for name, value in facts.items() if value)
    return f"""# {file}

A classifier of white blood cells, exported by cellda {facts["cellda_version"]}. {facts["use"]}

It takes {facts["input"]} ({graph.side}), and returns {facts["output"]}: {classes}. Colour normalization is inside; do not
scale or normalize the pixels. The batch size is free.

{framing_text(graph)}
{left_out_text(graph)}
It does not say which images cannot be judged (no nucleus, many cells, unlike the training cells); `cellda predict` does.

| | |
|---|---|
{rows}

The method: {PAPER} https://doi.org/{DOI}
"""


def framing_text(graph: Graph) -> str:
    """How an image becomes the graph's input."""
    spec, side = graph.model.framing_spec, graph.side
    if not spec.build().cuts:
        return (
            f"Framing is not needed: the whole image, which shows one cell, is resized to {side} x {side} pixels (Pillow, "
            "bilinear), and that is all."
        )
    options = ", ".join(f"{name}={value}" for name, value in spec.options.items())
    return (
        f"Framing is needed and not inside: it was trained on crops around the cell (framing `{spec.name}`, {options}). "
        f"`{spec.name}` finds the cell by its nucleus and cuts a square, which is resized to {side} x {side} pixels; see "
        "docs/framing.md of cellda. A whole image, merely resized, gives other, worse predictions. `cellda predict` frames, "
        "and so does `cellda.framing`."
    )


def left_out_text(graph: Graph) -> str:
    """What the file lacks of the model; empty if nothing."""
    if not graph.left_out:
        return ""
    return (
        f"\nThe model's {graph.left_out} is left out, because no graph can hold it: probabilities differ from those of "
        "`cellda predict` with the whole model.\n"
    )
