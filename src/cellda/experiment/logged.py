"""A run as loggers see it: its recipe, losses, trials, measures. Nothing of the run depends on them."""

import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cellda.adapters.base import Start
from cellda.errors import CelldaError, ConfigurationError
from cellda.evaluation.estimate import Estimate
from cellda.evaluation.rates import MEASURES
from cellda.experiment.run import Run
from cellda.experiment.stages import SOURCE_RECORD
from cellda.runtime.events import EpochDone, Event, TrialDone, heard
from cellda.runtime.work import Stage, Work
from cellda.text import plain

if TYPE_CHECKING:
    from cellda.experiment.result import RunResult
    from cellda.tracking.base import Logger, Param

SOURCE_LOSS = "loss/source"
SCORE = "search/score"


def checked_loggers(loggers: "Iterable[Logger]") -> "tuple[Logger, ...]":
    """Loggers that can be used, as far as that can be known now.

    Raises:
        ConfigurationError: If one cannot.
    """
    from cellda.tracking.base import Logger

    found = tuple(loggers)
    for one in found:
        if not isinstance(one, Logger):
            raise ConfigurationError(
                f"log takes loggers, as in log=[cellda.tracking.TensorBoard('runs')]; got {one!r}."
            )
        one.check()
    return found


class Log:
    """Passes on what happens in one run to all loggers; a logger that fails is named, and gets nothing more."""

    def __init__(self, loggers: "Iterable[Logger]") -> None:
        self._loggers = list(loggers)
        self._steps: Counter[str] = Counter()

    def hear(self, event: Event) -> None:
        """An epoch or a trial has ended."""
        if isinstance(event, EpochDone):
            self._next(_series(event.work), event.loss)
            return
        self._next(SCORE, math.nan if event.score is None else event.score)
        for name, value in event.values.items():
            if isinstance(value, int | float):
                self._scalar(f"search/{name}", event.number, value)

    def result(self, run: Run, result: "RunResult") -> None:
        """The run is finished; what was not heard, because it was in the store, is read from there."""
        if not self._steps[SOURCE_LOSS]:
            for epoch, loss in enumerate(_source_losses(run)):
                self.hear(EpochDone(Work(Stage.TRAIN_SOURCE), epoch, loss))
        if not self._steps[SCORE]:
            for trial in result.trials:
                self.hear(TrialDone(trial.number, trial.state, trial.score, trial.values))
        for name, value in _measures(result).items():
            self._scalar(name, 0, value)
        record = result.record
        texts = {"result": f"```text\n{result}\n```", "adapter": _as_json(record.adapter)}
        if record.trials:
            texts["trials"] = _as_json([trial.model_dump(mode="json") for trial in record.trials])
        for name, content in texts.items():
            self._each(lambda logger, name=name, content=content: logger.text(name, content))  # type: ignore[misc]

    def end(self, *, finished: bool) -> None:
        """Nothing more will come."""
        self._each(lambda logger: logger.end(finished=finished))

    def _next(self, series: str, value: float) -> None:
        """The next value of a series: an adapter may train several times."""
        self._scalar(series, self._steps[series], value)
        self._steps[series] += 1

    def _scalar(self, series: str, step: int, value: float) -> None:
        if math.isfinite(value):
            self._each(lambda logger: logger.scalar(series, step, float(value)))

    def _each(self, call: "Callable[[Logger], None]") -> None:
        for logger in list(self._loggers):
            try:
                call(logger)
            except Exception as error:  # of another library, perhaps of its connection
                self._loggers.remove(logger)
                warnings.warn(
                    f"Logging to {logger.name} stopped: {_reason(error)}. The run itself goes on.",
                    stacklevel=2,
                )


@contextmanager
def logged(run: Run, loggers: "tuple[Logger, ...]") -> Iterator[Log]:
    """Context in which a run is logged.

    Raises:
        ConfigurationError: If a logger cannot be started.
    """
    log = Log(loggers)
    started: list[Logger] = []
    for logger in loggers:
        try:
            logger.start(_name(run), _params(run))
        except Exception as error:  # of another library, perhaps of its connection
            for one in started:
                one.end(finished=False)
            if isinstance(error, CelldaError):
                raise
            raise ConfigurationError(f"Logging to {logger.name} cannot start: {_reason(error)}.") from error
        started.append(logger)
    finished = False
    try:
        with heard(log.hear):
            yield log
        finished = True
    finally:
        log.end(finished=finished)


def _name(run: Run) -> str:
    target = "".join(
        char if char.isalnum() or char in "-_." else "-" for char in str(plain(run.target.full_name))
    )
    return f"{run.recipe.adapter.name}-{target}-{run.digest}"


def _params(run: Run) -> "dict[str, Param]":
    target = str(plain(run.target.full_name))
    return {"digest": run.digest, "target": target, **_flat(run.recipe.model_dump(mode="json"))}


def _flat(value: Any, name: str = "") -> "dict[str, Param]":
    """Nested plain data with one dotted name for each value."""
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in value):
        parts = ((str(number), one) for number, one in enumerate(value))  # type: ignore[assignment]
    else:
        return {name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else value}
    return {
        key: one for part, inner in parts for key, one in _flat(inner, f"{name}.{part}".lstrip(".")).items()
    }


def _series(work: Work) -> str:
    if work.stage is Stage.TRAIN_SOURCE:
        return SOURCE_LOSS
    return "/".join(filter(None, ("loss", work.stage.name.lower(), work.subject)))


def _source_losses(run: Run) -> list[float]:
    """Losses of the source model's training, if the run starts from a source model that was trained here."""
    if run.recipe.adapter.start is not Start.SOURCE or run.recipe.source_model is not None:
        return []
    folder = run.workspace.store.find("source", run.source_key)
    if folder is None:
        return []
    return list(json.loads((folder / SOURCE_RECORD).read_text(encoding="utf-8"))["losses"])


def _measures(result: "RunResult") -> dict[str, float]:
    """The measures of a run with the ends of their intervals, and what it cost."""
    metrics = result.metrics
    found: dict[str, float] = {"measure/ece": metrics.ece}
    estimates: dict[str, Estimate] = {f"measure/{name}": getattr(metrics, name) for name in MEASURES}
    for name, one in metrics.per_class.items():
        for measure in ("precision", "recall", "f1"):
            estimates[f"class/{name}/{measure}"] = getattr(one, measure)
    for name, estimate in estimates.items():
        found |= {name: estimate.value, f"{name}/low": estimate.low, f"{name}/high": estimate.high}
    record = result.record
    found |= {"cost/labels_used": record.labels_used, "cost/image_passes": record.image_passes}
    return found | {f"cost/seconds/{stage}": seconds for stage, seconds in record.seconds.items()}


def _as_json(content: Any) -> str:
    return f"```json\n{json.dumps(content, indent=2)}\n```"


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
