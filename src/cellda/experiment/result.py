"""Results of a run: its record, its predictions, and everything computed from them."""

import json
import shutil
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console, Group
from rich.text import Text

from cellda.data.spec import Protocol
from cellda.datasets.reading.account import Account
from cellda.errors import ConfigurationError, DataError
from cellda.evaluation.costs import POOL
from cellda.evaluation.metrics import Metrics, measure
from cellda.evaluation.predictions import RUN, read_predictions, write_predictions
from cellda.experiment.departure import Departure
from cellda.experiment.summary import summary
from cellda.framing.account import FramingAccount
from cellda.plugins.options import describe
from cellda.recipe import Recipe
from cellda.runtime.given import path_of
from cellda.runtime.place import check_writable, saving
from cellda.text import shown

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier

RECORD = "record.json"
PREDICTIONS = "predictions.parquet"
MODEL = "model"

_COST_STAGES = ("search", "adapt", "predict")
_EXTRACT = (*RUN, POOL, "selector", "oracle", "labels_used", "image_passes")


class Trial(BaseModel):
    """One trial of a search.

    Attributes:
        number: Counts from 0; the first trial uses the adapter's own values.
        state: `"complete"`, or `"pruned"` if the race stopped it.
        score: The selector's score, averaged over its rounds; None if no round was finished.
        values: Value of each searched field.
        seconds: Wall time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    state: Literal["complete", "pruned"]
    score: float | None
    values: dict[str, Any]
    seconds: float | None


class RunRecord(BaseModel):
    """What a run did and what it cost: the content of `record.json`.

    Attributes:
        digest: The run's digest of everything it depends on, versions included.
        condition: Name of the condition; its facts are columns of the predictions (`cellda.evaluation.condition`).
        recipe: The recipe as given, as plain data.
        adapter: The adapter with the values that were used, as plain data; a list for a chain.
        target: The target.
        draw: Number of the draw.
        seed: Seed of the source model.
        protocol: `"clean"` or `"paper"`.
        pool: Source of the unlabelled images; None if none were used and the whole query was measured.
        versions: Versions of the libraries that results depend on.
        device: Device, machine and threads.
        support_files: The support cells.
        unsupported: Classes without a support cell.
        accounts: What was found, used and left out of the target and each source, with a few examples.
        known_to_model: Sources of the recipe's trained source model that hold cells of the target, so that the result is
            optimistic; None if the model has no card, so that this is not known.
        framed: How the images of each dataset are framed; empty if nothing is cut.
        present: The classes that can occur by the recipe's statement, to which predictions are limited; None if there is none.
        contradicting: Number of measured cells of each class that the statement excludes; they count as wrong.
        departure: How far the adapted model is from its source model on the predicted cells; None for an adapter that uses
            labels, or changes nothing.
        unframed: Number of images of each dataset in which the framing found no cell.
        twins: Number of cells of each dataset that are copies of one image under different classes; the recipe's `twins` says
            whether they were kept or dropped.
        selector: The selector that chose the adapter's values; None without a search.
        oracle: Whether query labels chose them.
        labels_used: Number of target labels that were used before measuring.
        image_passes: Number of images that the adaptation passed through the backbone.
        seconds: Wall time of each stage.
        trials: All trials of the search.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    condition: str
    recipe: dict[str, Any]
    adapter: dict[str, Any] | list[dict[str, Any]]
    target: str
    draw: int
    seed: int
    protocol: Protocol
    pool: Literal["query", "disjoint"] | None
    versions: dict[str, str]
    device: str
    support_files: tuple[str, ...]
    unsupported: tuple[str, ...]
    accounts: tuple[Account, ...]
    known_to_model: tuple[str, ...] | None = ()
    framed: dict[str, FramingAccount] = {}
    present: tuple[str, ...] | None = None
    contradicting: dict[str, int] = {}
    departure: Departure | None = None
    unframed: dict[str, int]
    twins: dict[str, int]
    selector: str | None
    oracle: bool
    labels_used: int
    image_passes: int
    seconds: dict[str, float]
    trials: tuple[Trial, ...]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read the record from a file.

        Raises:
            DataError: If the file cannot be read or is not the record of a run.
        """
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"The record of a run in {file} cannot be read: {error}.") from error
        if not isinstance(content, dict) or "digest" not in content:
            raise DataError(f"{file} is not the record of a run: it has no digest.")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            said = describe(error, f"the record in {file}", cls.model_fields)
            raise DataError(
                f"{file} is not in the record format of this version of cellda; run it again. {said}"
            ) from None

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps(self.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")


def costs_of(records: Iterable[RunRecord]) -> pd.DataFrame:
    """One row per run, an extract of its record: the content of `runs.csv` (`cellda.evaluation.costs`).

    Returns:
        Columns `condition, target, draw, seed, protocol, pool, selector, oracle, labels_used, image_passes, seconds, digest`;
            `seconds` is the sum over search, adaptation and prediction.
    """
    rows = [
        {name: getattr(record, name) for name in _EXTRACT}
        | {
            "seconds": sum(record.seconds.get(stage, 0.0) for stage in _COST_STAGES),
            "digest": record.digest,
        }
        for record in records
    ]
    return pd.DataFrame(rows, columns=[*_EXTRACT, "seconds", "digest"])


class RunResult:
    """A finished run.

    Args:
        path: The run's folder with `record.json`, `predictions.parquet` and, if the model was kept, `model/`.

    Attributes:
        path: The run's folder.
        record: What the run did and what it cost.
        predictions: One row per query image (columns in `cellda.evaluation.predictions`).

    Raises:
        DataError: If the folder holds no finished run, or its files cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path_of(path)
        missing = [
            str(self.path / name) for name in (RECORD, PREDICTIONS) if not (self.path / name).is_file()
        ]
        if missing:
            raise DataError(f"{self.path} does not hold a finished run; these files are missing:", missing)
        self.record = RunRecord.read(self.path / RECORD)
        self.predictions: pd.DataFrame = read_predictions(self.path / PREDICTIONS)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that was run."""
        return Recipe(**self.record.recipe)

    @property
    def digest(self) -> str:
        """The run's digest: recipe, target, data, draw, seed and versions."""
        return self.record.digest

    @property
    def labels_used(self) -> int:
        """Number of target labels that were used before measuring."""
        return self.record.labels_used

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials of the search; empty without one."""
        return self.record.trials

    @cached_property
    def metrics(self) -> Metrics:
        """Measures with 95 % intervals, computed from the predictions (PROTOCOL: "Measures")."""
        return measure(self.predictions)

    @cached_property
    def model(self) -> "CellClassifier":
        """The adapted classifier, in evaluation mode.

        Raises:
            ConfigurationError: If the run did not keep its model.
        """
        from cellda.models.classifier import CellClassifier

        if not (self.path / MODEL).is_dir():
            raise ConfigurationError(
                f"The run in {self.path} did not keep its model; run it with keep_model=True."
            )
        return CellClassifier.load(self.path / MODEL)

    def save(self, folder: str | Path) -> Path:
        """Copy record, predictions and model into `folder`, which is created if it does not exist.

        Raises:
            ConfigurationError: If `folder` cannot be written (a new one is removed), or already holds another run.
        """
        target = path_of(folder)
        if target.resolve() == self.path.resolve():
            return target
        check_writable(target, folder=True)
        check_free(target, self.digest)
        with saving(target, f"The run is kept in {self.path}."):
            shutil.copytree(self.path, target, dirs_exist_ok=True)
        return target

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load a saved run."""
        return cls(folder)

    @classmethod
    def write(cls, folder: Path, record: RunRecord, predictions: pd.DataFrame) -> None:
        """Write the files of a run into `folder`."""
        write_predictions(predictions, folder / PREDICTIONS)
        record.write(folder / RECORD)

    def __rich__(self) -> Group:
        lines = summary(self.record, len(self.predictions))
        return Group(Text("\n".join(map(shown, lines))), self.metrics.__rich__())

    def __str__(self) -> str:
        console = Console(width=100, force_terminal=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()


def check_free(folder: Path, digest: str) -> None:
    """Refuse a folder that holds another run than the one with this digest.

    Raises:
        ConfigurationError: If it does.
    """
    if (folder / RECORD).exists() and RunRecord.read(folder / RECORD).digest != digest:
        raise ConfigurationError(f"{folder} already holds another run; choose another folder.")
