"""What a run leaves behind: its record, its predictions, and everything computed from them."""

import json
import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from rich.console import Console, Group
from rich.text import Text

from cellda.errors import ConfigurationError, DataError
from cellda.evaluation.metrics import Metrics, measure
from cellda.evaluation.predictions import read_predictions, write_predictions
from cellda.recipe import Recipe

if TYPE_CHECKING:
    from cellda.models.classifier import CellClassifier

RECORD = "record.json"
PREDICTIONS = "predictions.parquet"
MODEL = "model"


class RunResult:
    """A finished run.

    Args:
        path: The run's folder with `record.json`, `predictions.parquet` and, if it was kept, `model/`.

    Attributes:
        path: The run's folder.
        record: What the run was and what it cost: recipe, versions, device, support files, seconds by stage, trials.
        predictions: One row a query image (columns in `cellda.evaluation.predictions`).

    Raises:
        DataError: If the folder holds no finished run, or its files cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        missing = [
            str(self.path / name) for name in (RECORD, PREDICTIONS) if not (self.path / name).is_file()
        ]
        if missing:
            raise DataError(f"{self.path} does not hold a finished run; these files are missing:", missing)
        self.record = _read_record(self.path / RECORD)
        self.predictions: pd.DataFrame = read_predictions(self.path / PREDICTIONS)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that was run."""
        return Recipe(**self.record["recipe"])

    @property
    def digest(self) -> str:
        """The run's digest: recipe, target, data, draw, seed and versions."""
        return str(self.record["digest"])

    @property
    def labels_used(self) -> int:
        """Number of target labels that were looked at before measuring."""
        return int(self.record["labels_used"])

    @property
    def trials(self) -> list[dict[str, Any]]:
        """All trials of the search; empty where none was made."""
        return list(self.record["trials"])

    @cached_property
    def metrics(self) -> Metrics:
        """Measures with 95 % intervals, computed from the predictions (PROTOCOL: "Measures")."""
        return measure(self.predictions)

    @cached_property
    def model(self) -> "CellClassifier":
        """The adapted classifier, in evaluation mode.

        Raises:
            ConfigurationError: If the run did not keep it.
        """
        from cellda.models.classifier import CellClassifier

        if not (self.path / MODEL).is_dir():
            raise ConfigurationError(
                f"The run in {self.path} did not keep its model; run it with keep_model=True."
            )
        return CellClassifier.load(self.path / MODEL)

    def save(self, folder: str | Path) -> Path:
        """Copy record, predictions and model into `folder`, which is made where it is missing.

        Raises:
            ConfigurationError: If it is a file, or holds another run.
        """
        target = Path(folder).expanduser()
        if target.resolve() == self.path.resolve():
            return target
        if target.exists() and not target.is_dir():
            raise ConfigurationError(f"{target} is a file; name a folder to save the run in.")
        if (target / RECORD).exists() and _read_record(target / RECORD)["digest"] != self.digest:
            raise ConfigurationError(f"{target} already holds another run; choose another folder.")
        shutil.copytree(self.path, target, dirs_exist_ok=True)
        return target

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a run that was saved."""
        return cls(folder)

    @classmethod
    def write(cls, folder: Path, record: dict[str, Any], predictions: pd.DataFrame) -> None:
        """Write the files of a run into `folder`."""
        write_predictions(predictions, folder / PREDICTIONS)
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    def __rich__(self) -> Group:
        record = self.record
        lines = [
            f"{record['condition']} on {record['target']}, draw {record['draw']}, protocol {record['protocol']}, run "
            f"{self.digest}",
            f"{self.labels_used} target labels used; {len(self.predictions)} query images",
        ]
        if record["unsupported"]:
            lines.append(f"classes without a support image: {', '.join(record['unsupported'])}")
        for name, count in record.get(
            "unframed", {}
        ).items():  # runs made before there was a framing have none
            lines.append(f"no cell was found in {count} image(s) of {name}; they are shown whole")
        return Group(Text("\n".join(lines)), self.metrics.__rich__())

    def __str__(self) -> str:
        console = Console(width=100, force_terminal=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()


def _read_record(file: Path) -> dict[str, Any]:
    """The record of a run.

    Raises:
        DataError: If the file is none.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"The record of a run in {file} cannot be read: {error}.") from error
    if not isinstance(record, dict) or "digest" not in record:
        raise DataError(f"{file} is not the record of a run: it names no digest.")
    return record
