"""Where the trials of an asynchronous search are kept while it lasts: a file in its folder, or a PostgreSQL database."""

import os
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial

from cellda.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL

VARIABLE = "CELLDA_SEARCH_STORAGE"
"""Names the database. An environment variable and no setting: it changes no result, and holds a password."""
FORM = f"{VARIABLE}=postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
LOG = "study.log"

BEAT, GRACE = 60, 240
"""Seconds between two signs of life of a trial in a database, and after which its worker is taken for dead."""


def storage_in(folder: Path) -> BaseStorage:
    """The storage: the database that the environment names, or else a file in `folder`, which several machines may write.

    Raises:
        ConfigurationError: If the database cannot be used; the message never holds the password.
    """
    url = _url()
    if url is not None:
        return _database(url)
    folder.mkdir(parents=True, exist_ok=True)
    log = str(folder / LOG)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return JournalStorage(JournalFileBackend(log, _Lock(log)))


def is_database() -> bool:
    """Whether the environment names a database.

    Raises:
        ConfigurationError: If it names none that cellda can use.
    """
    return _url() is not None


def storage_name() -> str:
    """What the storage is called, without a password.

    Raises:
        ConfigurationError: If the environment names none that cellda can use.
    """
    url = _url()
    if url is None:
        return "a file in the store"
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{user}{url.host or 'localhost'}{port}/{url.database or ''}"


def check_storage() -> None:
    """Refuse a database that cannot be used, and create Optuna's tables in one that is new.

    Raises:
        ConfigurationError: If it cannot be used.
    """
    url = _url()
    if url is not None:
        _database(url)


def again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Have the values of a trial that died with its worker tried again."""
    study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)


class _Lock(JournalFileOpenLock):
    """Optuna's lock for network file systems. Half a line that lies there when it is held was left by a process that died."""

    def __init__(self, log: str) -> None:
        super().__init__(log)
        self._log = Path(log)

    def acquire(self) -> bool:
        held = super().acquire()
        with self._log.open("r+b") as log:
            content = log.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                log.truncate(whole)
        return held


def _url() -> "URL | None":
    told = os.environ.get(VARIABLE)
    if not told:
        return None
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(told)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"{VARIABLE} is no address of a database; write {FORM}.") from None
    if url.get_backend_name() != "postgresql":
        raise ConfigurationError(
            f"{VARIABLE} names a database of the kind '{url.get_backend_name()}'; only PostgreSQL is known to work: {FORM}. "
            "Without the variable, the trials are kept in the store."
        )
    return url.set(drivername="postgresql+psycopg")


def _database(url: "URL") -> optuna.storages.RDBStorage:
    from sqlalchemy.exc import SQLAlchemyError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            storage = optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs={"pool_pre_ping": True},  # the server may have been started again
                heartbeat_interval=BEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=again,
            )
        except ImportError:
            raise ConfigurationError(
                f"A search storage in PostgreSQL ({VARIABLE}) needs psycopg: pip install 'cellda[cluster]'."
            ) from None
        except SQLAlchemyError as error:
            why = str(getattr(error, "orig", error)).strip().splitlines()[0]
            if url.password:
                why = why.replace(url.password, "***")
            raise ConfigurationError(
                f"The database {storage_name()} that {VARIABLE} names cannot be used: {why}"
            ) from None
    weakref.finalize(storage, storage.engine.dispose)
    return storage
