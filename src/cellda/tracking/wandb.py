"""Weights & Biases."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from cellda.runtime.given import path_of
from cellda.runtime.place import check_writable
from cellda.tracking.base import Logger, Param

if TYPE_CHECKING:
    import wandb


class WandB(Logger):
    """Log to Weights & Biases; `pip install 'cellda[wandb]'`.

    Args:
        project: Name of the project.
        mode: `"online"` sends to the server, for which you must be logged in (`wandb login`); `"offline"` writes files only,
            which `wandb sync` sends later.
        folder: Where W&B keeps its files, in `wandb/`.
    """

    name: ClassVar[str] = "wandb"
    package: ClassVar[str] = "wandb"

    def __init__(
        self,
        project: str = "cellda",
        mode: Literal["online", "offline"] = "online",
        folder: str | Path = ".",
    ) -> None:
        self.project, self.mode, self.folder = project, mode, path_of(folder)
        self._run: wandb.Run | None = None

    def check(self) -> None:
        """As of `Logger`; refuses a folder that cannot be written."""
        super().check()
        check_writable(self.folder, folder=True, what=self.name)

    def start(self, run: str, params: Mapping[str, Param]) -> None:
        """Begin the run with the parameters as its configuration."""
        import wandb  # an optional package

        self.folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self.project, mode=self.mode, dir=str(self.folder), name=run, config=dict(params)
        )

    def scalar(self, series: str, step: int, value: float) -> None:
        """One value of a series; every series has steps of its own, `<series>/step`."""
        assert self._run is not None
        axis = f"{series}/step"
        self._run.define_metric(series, step_metric=axis)
        self._run.log({series: value, axis: step})

    def text(self, name: str, content: str) -> None:
        """A text, in the summary."""
        assert self._run is not None
        self._run.summary[name] = content

    def end(self, *, finished: bool) -> None:
        """End the run."""
        assert self._run is not None
        self._run.finish(exit_code=0 if finished else 1)
