"""The state of a training after every epoch, from which an interrupted one goes on."""

import random
import shutil
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from torch import Tensor, nn


def keep_as(module: nn.Module, accelerator: Accelerator) -> None:
    """Let checkpoints hold `module` itself and not what trains it, so that a training goes on under any plan."""

    def save(_models: list[nn.Module], weights: list[dict[str, Tensor]], _folder: str) -> None:
        weights[:] = [module.state_dict()]

    def load(models: list[nn.Module], _folder: str) -> None:
        models[:] = [module]

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


def checkpoint(accelerator: Accelerator, folder: Path | None, epoch: int) -> None:
    """Save the state after `epoch` epochs; the name appears when it is complete, and the one before goes."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    before = list(folder.glob("epoch_*"))
    writing = folder / "writing"
    shutil.rmtree(writing, ignore_errors=True)
    accelerator.save_state(str(writing))
    writing.rename(folder / f"epoch_{epoch:05d}")
    for old in before:
        shutil.rmtree(old)


def resume(accelerator: Accelerator, folder: Path | None) -> int:
    """Load the newest checkpoint; the number of epochs already done."""
    found = sorted(folder.glob("epoch_*")) if folder is not None else []
    if not found:
        return 0
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what is kept is the caller's
    accelerator.load_state(str(found[-1]))
    # Training draws from torch alone; the states of the others that a checkpoint holds are not put upon the caller.
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    return int(found[-1].name.removeprefix("epoch_"))
