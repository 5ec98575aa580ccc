"""Results of a run: its record, its predictions, and everything computed from them."""

import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from rich.console import Console, Group
from rich.text import Text

from cellda.errors import ConfigurationError, DataError
from cellda.evaluation.metrics import Metrics, measure
from cellda.evaluation.predictions import CROSS_VALIDATION, read_predictions, write_predictions
from cellda.experiment.record import RECORD, RunRecord, Trial
from cellda.experiment.summary import summary
from cellda.html import html_folded, html_lines, html_table, html_text
from cellda.recipe import Recipe
from cellda.recipe.notebook import plain_values
from cellda.runtime.given import path_of
from cellda.runtime.place import check_writable, saving
from cellda.text import shown

if TYPE_CHECKING:
    from cellda.datasets.base import CellDataset
    from cellda.models.classifier import CellClassifier

PREDICTIONS = "predictions.parquet"
MODEL = "model"


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
    def cross_validation(self) -> pd.DataFrame | None:
        """The labelled cells, each predicted by a model that has not learned from it, with probabilities before calibration.

        None if they were not predicted (`Recipe.calibration`).
        """
        file = self.path / CROSS_VALIDATION
        return read_predictions(file) if file.is_file() else None

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
            shutil.copytree(self.path, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
        return target

    def report(
        self,
        file: str | Path,
        target: "str | CellDataset | None" = None,
        data: str | Path | None = None,
        *,
        store: str | Path | None = None,
    ) -> Path:
        """Write a page (.html, one file that needs no network) or a PDF of what the run did, for people who look at cells.

        Args:
            file: The page or PDF.
            target: The target, for pictures of its cells, by name or loaded; None for that of the record, which a laboratory's
                own cells cannot be found by.
            data: Folder that holds one folder per dataset name.
            store: Where decoded images are kept.

        Raises:
            CelldaError: If the file cannot be written, or a target is given whose images cannot be read.
        """
        from cellda.experiment.reports import report_of_run
        from cellda.experiment.workspace import Workspace
        from cellda.report.page import check_report, write

        place = check_writable(file)
        check_report(place)
        return write(report_of_run(self, target, Workspace(data, store, progress=False)), place)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load a saved run."""
        return cls(folder)

    @classmethod
    def write(
        cls, folder: Path, record: RunRecord, predictions: pd.DataFrame, held_out: pd.DataFrame | None = None
    ) -> None:
        """Write the files of a run into `folder`."""
        write_predictions(predictions, folder / PREDICTIONS)
        if held_out is not None:
            write_predictions(held_out, folder / CROSS_VALIDATION)
        record.write(folder / RECORD)

    def to_data(self, place: Path | None = None) -> dict[str, Any]:
        """What the run was and what was measured, as plain data, for programs.

        Args:
            place: The folder that its paths name: that of a copy; by default the run's own.
        """
        folder, record = place or self.path, self.record
        return {
            "digest": self.digest,
            "target": record.target,
            "condition": record.condition,
            "protocol": record.protocol,
            "draw": record.draw,
            "seed": record.seed,
            "n": record.n,
            "labels_used": self.labels_used,
            "taken": record.taken,
            "unsupported": record.unsupported,
            "untested": record.untested,
            "notes": summary(record, len(self.predictions))[2:],
            "measures": self.metrics.model_dump(),
            "paths": {
                "record": folder / RECORD,
                "predictions": folder / PREDICTIONS,
                "model": folder / MODEL if (folder / MODEL).is_dir() else None,
            },
        }

    def __rich__(self) -> Group:
        lines = summary(self.record, len(self.predictions))
        return Group(Text("\n".join(map(shown, lines))), self.metrics.__rich__())

    def _repr_html_(self) -> str:
        condition, *lines = summary(self.record, len(self.predictions))
        title = f'<p style="margin: 0; font-weight: bold;">{html_text(condition)}</p>'
        recipe = html_folded("recipe", self.recipe._repr_html_())
        trials = [
            (
                str(one.number),
                one.state,
                "" if one.score is None else f"{one.score:.3f}",
                plain_values(one.values),
            )
            for one in self.trials
        ]
        search = html_table("", ("trial", "state", "score", "values"), trials) if trials else ""
        folded = html_folded(f"search: {len(trials)} trials", search) if trials else ""
        return f"<div>{title}{html_lines(lines)}{self.metrics._repr_html_()}{recipe}{folded}</div>"

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
