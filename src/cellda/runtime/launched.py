"""Whether a launcher (`accelerate launch`, `torchrun`) has started this process beside others. Imports nothing heavy."""

import os
from dataclasses import dataclass
from functools import cache

from cellda.errors import ConfigurationError

_PLACE = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
_OTHER_WAYS = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
}


@dataclass(frozen=True)
class Launched:
    """The place of this process among those of a launcher.

    Attributes:
        rank: Its number among all processes; number 0 is the main process.
        size: Number of processes, at least two.
        local_rank: Its number among those of this machine.
        local_size: Number of processes on this machine.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int


@cache
def launched() -> Launched | None:
    """The place of this process among those of a launcher; None if it was started alone.

    It is taken out of the environment: processes that this one starts have no place there, and libraries that look for it
    (accelerate) would share work that the main process does alone.

    Raises:
        ConfigurationError: If the launcher is to divide a model, which cellda does not do.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) < 2 or "RANK" not in os.environ:
        return None
    for name, way in _OTHER_WAYS.items():
        if os.environ.get(name, "").lower() == "true":
            raise ConfigurationError(
                f"Models of cellda are small enough for one device, and {way} divides them: start it with `accelerate launch "
                "--multi_gpu --num_processes N -m cellda ...`."
            )
    rank, size, local_rank, local_size = (os.environ.pop(name, None) for name in _PLACE)
    assert rank is not None
    assert size is not None
    return Launched(int(rank), int(size), int(local_rank or rank), int(local_size or size))
