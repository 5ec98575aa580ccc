"""The machine-readable card of a source model: what it was trained on, under which terms, and how well it does."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError

from cellda import datasets
from cellda.datasets.card import card as data_card
from cellda.errors import DataError
from cellda.plugins.options import describe
from cellda.plugins.settings import Settings
from cellda.runtime.place import written
from cellda.source_models.folders import CARD

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset

MARK = 12
"""Hex digits of an image's hash that a card keeps."""

MARKS = 1000
"""Most images of a source that a card keeps marks of: enough to recognise sixty of them among a hundred thousand."""

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Trained(Settings):
    """A dataset that a model was trained on.

    Attributes:
        name: Its full name, as `CellDataset.full_name` has it.
        title: Its display name.
        licence: Terms under which its images were published.
        citation: Whom to cite.
        url: Where its images are published.
        fingerprint: Hash of its table and files (`CellDataset.fingerprint`).
        marks: The smallest hashes of its images, cut to `MARK` hex digits each and joined: by these, copies of its images are
            recognised in any folder.
        counts: Number of cells of each class, training and held-out cells together.
    """

    name: str
    title: str
    licence: str
    citation: str
    url: str
    fingerprint: str
    marks: str
    counts: dict[str, Count]

    @classmethod
    def on(cls, dataset: "CellDataset") -> Self:
        """What a card says of a dataset."""
        return cls(
            name=dataset.full_name,
            title=dataset.title or dataset.full_name,
            licence=dataset.licence,
            citation=dataset.citation,
            url=dataset.url,
            fingerprint=dataset.fingerprint,
            marks="".join(_marks(dataset.image_hashes)[:MARKS]),
            counts=dataset.class_counts(),
        )

    def shares_cells_with(self, dataset: "CellDataset") -> bool:
        """Whether a dataset is this one, another form of it, or holds copies of its images."""
        base = self.name.partition("/")[0]
        # The name of an own folder says nothing.
        same = dataset.full_name == self.name and (dataset.is_published or dataset.synthetic)
        if same or dataset.fingerprint == self.fingerprint:
            return True
        if base in datasets.registry and dataset.shares_cells_with(data_card(base)):
            return True
        known = {self.marks[start : start + MARK] for start in range(0, len(self.marks), MARK)}
        return not known.isdisjoint(_marks(dataset.image_hashes))


class Scores(Settings):
    """How well cells were classified that a model was not trained on; no label of them was used.

    Attributes:
        cells: Number of cells.
        accuracy: Share of cells whose predicted class is the true one.
        balanced_accuracy: Mean recall over the classes with at least 5 cells; None if no class has as many.
        ece: Expected calibration error (15 bins) of the most probable class.
    """

    cells: Count
    accuracy: Share
    balanced_accuracy: Share | None
    ece: Share


class Spread(Settings):
    """Mean and standard deviation."""

    mean: float
    std: float = Field(ge=0)


class ClassStatistics(Settings):
    """What the held-out cells of a class look like to a model, for methods that have no source images.

    Attributes:
        cells: Number of cells.
        mean: Mean of their embeddings, by feature.
        std: Standard deviation of their embeddings, by feature.
        sharpness: Their sharpness (`cellda.models.looks`).
        side: The shorter side of their images in pixels; None if they were not read from image files.
    """

    cells: Count
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sharpness: Spread
    side: Spread | None


class Card(Settings):
    """The content of `card.json`.

    Attributes:
        format: Version of this card.
        summary: One line.
        recipe: The recipe that made it, as plain data.
        sources: The datasets that it was trained on.
        held_out: Source -> scores on its cells that were held out from training.
        left_out: Dataset -> scores of the same recipe trained without it (leave one dataset out).
        never_seen: Classes of which it was trained on no cell.
        classes: Class -> statistics of its held-out cells, of all sources together.
        weights: SHA-256 of the file of weights, as its description has it.
        versions: Versions of cellda and the libraries that computed it.
    """

    format: Literal[1] = 1
    summary: str = Field(min_length=1, max_length=200)
    recipe: dict[str, Any]
    sources: tuple[Trained, ...] = Field(min_length=1)
    held_out: dict[str, Scores]
    left_out: dict[str, Scores]
    never_seen: tuple[str, ...]
    classes: dict[str, ClassStatistics]
    weights: str = Field(pattern="^[0-9a-f]{64}$")
    versions: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The card in a model's folder.

        Raises:
            DataError: If it cannot be read or is not one.
        """
        file = folder / CARD
        try:
            return cls.model_validate(json.loads(file.read_text(encoding="utf-8")))
        except ValidationError as error:
            raise DataError(describe(error, f"the card {file}", cls.model_fields)) from None
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"The card {file} cannot be read: {error}.") from error

    def write(self, folder: Path) -> None:
        """Write it into a model's folder."""
        content: Mapping[str, Any] = self.model_dump(mode="json")
        with written(folder / CARD) as part:
            part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def sharing(self, dataset: "CellDataset") -> tuple[str, ...]:
        """The sources that a dataset shares cells with, by name."""
        return tuple(source.name for source in self.sources if source.shares_cells_with(dataset))


def _marks(hashes: Iterable[bytes]) -> list[str]:
    """Marks of images, sorted, each once."""
    return sorted({one.hex()[:MARK] for one in hashes})
