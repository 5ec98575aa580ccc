"""The record of a run: what it did and what it cost."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from cellda.data.draw_account import Taken
from cellda.data.spec import Protocol
from cellda.datasets.reading.account import Account
from cellda.errors import DataError
from cellda.evaluation.calibration import Calibration
from cellda.evaluation.costs import POOL
from cellda.evaluation.predictions import RUN
from cellda.experiment.departure import Departure
from cellda.framing.account import FramingAccount
from cellda.plugins.options import describe

RECORD = "record.json"

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
        n: Number of support cells that were asked for; None in records of earlier versions.
        taken: What was taken of each class as support, next to what was wanted, and why it is less.
        unsupported: Classes without a support cell.
        untested: Classes without a cell to measure.
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
        calibration: How the probabilities were calibrated; None if they are as the model gives them.
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
    untested: tuple[str, ...] = ()
    n: int | None = None
    taken: tuple[Taken, ...] = ()
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
    calibration: Calibration | None = None

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
