"""Where work is done, from one line of text."""

import re
from dataclasses import dataclass
from typing import Any

from cellda.errors import ConfigurationError
from cellda.runtime.launched import launched

FORMS = (
    "'local' (this process), 'processes:4' (so many processes of this machine, one core each), 'tcp://host:8786' (a Dask "
    "scheduler) or 'slurm:jobs=8,cores=4,memory=16GB,walltime=04:00:00' (jobs of a Slurm cluster)"
)


@dataclass(frozen=True)
class Here:
    """This process."""


@dataclass(frozen=True)
class Processes:
    """Processes of this machine, with one thread each.

    Attributes:
        number: How many.
    """

    number: int


@dataclass(frozen=True)
class Scheduler:
    """A Dask scheduler that runs already, with its workers.

    Attributes:
        address: As Dask prints it, `tcp://host:8786`.
    """

    address: str


@dataclass(frozen=True)
class Slurm:
    """Jobs that are submitted to a Slurm cluster, with one worker for each core.

    Attributes:
        jobs: How many.
        options: Of one job: `cores`, `memory`, `walltime`, `queue`, `account`, and `gpus`, 1 if it has one.
    """

    jobs: int
    options: dict[str, Any]


Place = Here | Processes | Scheduler | Slurm

_SLURM = {
    "jobs": int,
    "cores": int,
    "memory": str,
    "walltime": str,
    "queue": str,
    "account": str,
    "gpus": int,
}


def place_of(text: str) -> Place:
    """Where a text says that work is done.

    >>> place_of("processes:2")
    Processes(number=2)

    Raises:
        ConfigurationError: If it says nothing that is known; the message lists the forms. If a launcher has started this
            process beside others, which train together, and the work is to be done elsewhere.
    """
    kind, _, rest = text.strip().partition(":")
    if text.strip() == "local":
        return Here()
    if (beside := launched()) is not None:
        raise ConfigurationError(
            f"{beside.size} processes of a launcher train together, and '{text}' is other workers: leave out --on, or start "
            "the command without `accelerate launch`."
        )
    if kind == "processes" and rest.isdecimal() and int(rest) > 0:
        return Processes(int(rest))
    if kind in {"tcp", "tls"} and re.fullmatch(r"//[^/:\s]+:\d+", rest):
        return Scheduler(text.strip())
    if kind == "slurm":
        return _slurm(rest)
    raise ConfigurationError(f"Work cannot be done on '{text}'; say {FORMS}.")


def _slurm(rest: str) -> Slurm:
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        if name not in _SLURM or not value:
            raise ConfigurationError(
                f"'{part}' is no option of slurm: write NAME=VALUE with {', '.join(_SLURM)}, joined by commas."
            )
        try:
            options[name] = _SLURM[name](value)
        except ValueError:
            raise ConfigurationError(f"slurm: {name} is a whole number, not '{value}'.") from None
    missing = [name for name in ("jobs", "cores", "memory") if name not in options]
    if missing:
        raise ConfigurationError(
            f"slurm: {', '.join(missing)} must be given, as in jobs=8,cores=4,memory=16GB."
        )
    if options.get("gpus", 0) > 1:
        raise ConfigurationError(
            "slurm: one worker cannot use several GPUs; ask for more jobs with gpus=1 each."
        )
    return Slurm(options.pop("jobs"), options)
