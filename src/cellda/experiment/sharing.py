"""Asynchronous searches on several workers keep their trials in one place."""

from collections.abc import Callable, Sequence
from typing import Any

from cellda.errors import ConfigurationError
from cellda.experiment.run import Run
from cellda.runtime.storage.store import Store
from cellda.selection.storage import FORM, VARIABLE, is_database, storage_name


def is_asynchronous(runs: Sequence[Run]) -> bool:
    """Whether any of these runs has an asynchronous search."""
    return any(run.search is not None and run.search.asynchronous for run in runs)


def check_reach(store: Store) -> None:
    """Refuse an asynchronous search whose trials would lie in a file that only this machine has.

    Args:
        store: Of the runs.

    Raises:
        ConfigurationError: If so.
    """
    if store.remote is not None and not is_database():
        raise ConfigurationError(
            f"An asynchronous search keeps its trials in a file, which workers cannot share in {store}: give a database "
            f"({FORM}), or leave out search.asynchronous."
        )


def check_storages(everywhere: Callable[..., dict[str, Any]], runs: Sequence[Run]) -> None:
    """Refuse workers that would keep the trials of an asynchronous search elsewhere.

    Args:
        everywhere: Calls a function on every worker.
        runs: Those that will be made.

    Raises:
        ConfigurationError: With every worker and where it would keep them; the message never holds a password.
    """
    if not is_asynchronous(runs):
        return
    own = storage_name()
    wrong = {worker: found for worker, found in everywhere(storage_name).items() if found != own}
    if wrong:
        lines = "".join(f"\n  - {worker} in {found}" for worker, found in wrong.items())
        raise ConfigurationError(
            f"An asynchronous search keeps its trials in {own} here, but on workers elsewhere; start them with the same "
            f"{VARIABLE}:{lines}"
        )
