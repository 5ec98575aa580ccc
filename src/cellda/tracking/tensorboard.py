"""TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from cellda.runtime.given import path_of
from cellda.runtime.place import check_writable
from cellda.tracking.base import Logger, Param

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(Logger):
    """Log to event files, one folder a run: `tensorboard --logdir FOLDER` shows them; `pip install 'cellda[tensorboard]'`.

    Args:
        folder: It is created if it does not exist.
    """

    name: ClassVar[str] = "tensorboard"
    package: ClassVar[str] = "tensorboard"

    def __init__(self, folder: str | Path = "runs") -> None:
        self.folder = path_of(folder)
        self._writer: SummaryWriter | None = None

    def check(self) -> None:
        """As of `Logger`; refuses a folder that cannot be written."""
        super().check()
        check_writable(self.folder, folder=True, what=self.name)

    def start(self, run: str, params: Mapping[str, Param]) -> None:
        """Open the event file of a run; the parameters are its text `recipe`."""
        from torch.utils.tensorboard import SummaryWriter  # an optional package

        self._writer = SummaryWriter(str(self.folder / run))
        rows = "\n".join(f"| {name} | `{value}` |" for name, value in params.items())
        self.text("recipe", f"| field | value |\n|:--|:--|\n{rows}")

    def scalar(self, series: str, step: int, value: float) -> None:
        """One point of a curve."""
        assert self._writer is not None
        self._writer.add_scalar(series, value, step)
        self._writer.flush()

    def text(self, name: str, content: str) -> None:
        """A text, as Markdown."""
        assert self._writer is not None
        self._writer.add_text(name, content)

    def end(self, *, finished: bool) -> None:
        """Close the event file."""
        del finished
        assert self._writer is not None
        self._writer.close()
