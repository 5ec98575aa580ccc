"""Checkpoints after every epoch, from which an interrupted training run resumes."""

import random
import shutil
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from torch import Tensor, nn


def keep_as(module: nn.Module, accelerator: Accelerator) -> None:
    """Save `module` itself in checkpoints, not the copy that is trained, so that training can resume under any device plan."""

    def save(_models: list[nn.Module], weights: list[dict[str, Tensor]], _folder: str) -> None:
        weights[:] = [module.state_dict()]

    def load(models: list[nn.Module], _folder: str) -> None:
        models[:] = [module]

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


def checkpoint(accelerator: Accelerator, folder: Path | None, epoch: int) -> None:
    """Save the state after `epoch` epochs; it gets its name once it is complete, and replaces the previous one."""
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
    """Load the newest checkpoint and return the number of epochs already done."""
    found = sorted(folder.glob("epoch_*")) if folder is not None else []
    if not found:
        return 0
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the caller's state is restored below
    accelerator.load_state(str(found[-1]))
    # Training uses only torch's generator; the other random states in the checkpoint must not overwrite the caller's.
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    return int(found[-1].name.removeprefix("epoch_"))
