"""The journal of a search: optuna's own, of which a resumed search reads what the finished trials wrote, and nothing else."""

import os
import warnings
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import NopPruner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from cellda.runtime import progress
from cellda.runtime.file_hash import hash_of
from cellda.runtime.ledger import Ledger

STUDY, TRIALS = "study.log", "study.ledger"


class Journal:
    """Optuna's journal, and a ledger of how long it was after each finished trial.

    A process that is killed leaves in the journal what its trial had written: its number, its values, some of its scores, half
    a line. All of this is cut off before the search is resumed, as if the trial had never begun.

    Args:
        folder: Holds both files.
    """

    def __init__(self, folder: Path) -> None:
        self._log, self._ledger = folder / STUDY, Ledger(folder / TRIALS)

    def study(self) -> optuna.Study:
        """The study with the finished trials; without any, if the journal is not what they wrote (which is said)."""
        entries = self._ledger.entries()
        if self._log.exists():
            os.truncate(self._log, min(self._log.stat().st_size, entries[-1]["bytes"] if entries else 0))
        if entries and (not self._log.exists() or hash_of(self._log) != entries[-1]["hash"]):
            progress.note(f"The trials of a search in {self._log} are damaged; the search starts again.")
            self._log.unlink(missing_ok=True)
            self._ledger.keep([])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = JournalStorage(JournalFileBackend(str(self._log), _Alone(str(self._log))))
            return optuna.create_study(
                storage=storage,
                pruner=NopPruner(),
                study_name="search",
                direction="maximize",
                load_if_exists=True,
            )

    def record(self) -> None:
        """Record that a trial is finished."""
        self._ledger.append({"bytes": self._log.stat().st_size, "hash": hash_of(self._log)})


class _Alone(JournalFileOpenLock):
    """No lock: the store lets one process at a time into the folder, and optuna's own, left by a kill, halts others 30 s."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass
