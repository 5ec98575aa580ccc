"""MLflow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from cellda.tracking.base import Logger, Param

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST = 6000
"""Characters of a parameter that MLflow stores."""


class MLflow(Logger):
    """Log to an MLflow store or server; `pip install 'cellda[mlflow]'`.

    It uses a client of its own: runs and settings of MLflow in the same process stay as they are.

    Args:
        uri: The tracking store: `"sqlite:///mlflow.db"`, a server's address; by default MLflow's own (`$MLFLOW_TRACKING_URI`).
        experiment: Name of the experiment, which is created if it does not exist.
    """

    name: ClassVar[str] = "mlflow"
    package: ClassVar[str] = "mlflow"

    def __init__(self, uri: str | None = None, experiment: str = "cellda") -> None:
        self.uri, self.experiment = uri, experiment
        self._client: MlflowClient | None = None
        self._run = ""

    def start(self, run: str, params: Mapping[str, Param]) -> None:
        """Create the run with its parameters."""
        from mlflow import MlflowClient  # an optional package
        from mlflow.entities import Param as Entry

        self._client = MlflowClient(self.uri)
        known = self._client.get_experiment_by_name(self.experiment)
        number = self._client.create_experiment(self.experiment) if known is None else known.experiment_id
        self._run = self._client.create_run(number, run_name=run).info.run_id
        entries = [Entry(name, str(value)[:LONGEST]) for name, value in params.items()]
        for first in range(0, len(entries), 100):  # a batch takes 100
            self._client.log_batch(self._run, params=entries[first : first + 100])

    def scalar(self, series: str, step: int, value: float) -> None:
        """One point of a metric."""
        assert self._client is not None
        self._client.log_metric(self._run, series, value, step=step)

    def text(self, name: str, content: str) -> None:
        """A text, as an artifact."""
        assert self._client is not None
        self._client.log_text(self._run, content, f"{name}.md")

    def end(self, *, finished: bool) -> None:
        """End the run."""
        assert self._client is not None
        self._client.set_terminated(self._run, "FINISHED" if finished else "FAILED")
