"""Exporting: refused before the work, written whole, compared with the library, or not kept."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cellda.errors import ConfigurationError
from cellda.export import registry
from cellda.export.agreement import drawn, framed, largest_difference
from cellda.export.base import Format
from cellda.export.graph import Graph
from cellda.export.readme import readme
from cellda.models.classifier import CellClassifier
from cellda.runtime.place import check_writable, written


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: The exported model.
        readme: The text next to it that says how it is used.
        difference: The largest difference of a probability from the library's.
        images: Number of images that it was compared on.
    """

    file: Path
    readme: Path
    difference: float
    images: int


def export(
    model: CellClassifier,
    save: str | Path,
    format: str,
    *,
    without: Collection[str] = (),
    check: Sequence[Path] = (),
    overwrite: bool = False,
) -> Exported:
    """Write a classifier into a file that runs without cellda, and compare the file with the library.

    It takes raw pixels, uint8 `(N, 3, S, S)` RGB, and returns probabilities `(N, classes)`: normalizer and symmetric views are
    inside. The framing is not: `README` next to it says what it is.

    Args:
        model: The classifier.
        save: The file; its suffix is that of the format.
        format: `"onnx"`, `"torchscript"` or `"bioimageio"`.
        without: Parts to leave out that no graph can hold: `"second_view"`.
        check: Images to compare on, besides synthetic cells and noise.
        overwrite: Whether to replace files.

    Raises:
        ConfigurationError: If the model cannot be exported, the place cannot be written, or what is written differs from the
            library by more than `agreement.TOLERANCE`; nothing is left then.
        UnknownNameError: If there is no such format.
    """
    chosen = registry.create(format)
    place = check_place(chosen, save, overwrite=overwrite)
    chosen.check_installed()
    graph = Graph(model, without)
    pixels = drawn(graph.side)
    if check:
        pixels = torch.cat([pixels, framed(graph, check)])
    with written(place) as part:
        part.unlink(missing_ok=True)
        chosen.write(graph, part)
        difference = largest_difference(graph, chosen.runs(part), pixels)
    with written(readme_of(place)) as part:
        part.write_text(readme(graph, place.name), encoding="utf-8")
    return Exported(place, readme_of(place), difference, len(pixels))


def check_place(format: Format, save: str | Path, *, overwrite: bool) -> Path:
    """Refuse a place that cannot be written, or is taken.

    Raises:
        ConfigurationError: If it is; the message says why.
    """
    place = check_writable(save, what="--save")
    if place.suffix != format.suffix:
        raise ConfigurationError(
            f"--save: a file of the format '{format.name}' ends in {format.suffix}; got {place}."
        )
    for file in (place, readme_of(place)):
        check_writable(file, what="--save")
        if file.exists() and not overwrite:
            raise ConfigurationError(
                f"--save: {file} exists; choose another name, or replace it with --overwrite."
            )
    return place


def readme_of(place: Path) -> Path:
    """The text that lies next to an exported file."""
    return place.with_name(f"{place.name}.md")
