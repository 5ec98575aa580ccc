"""Checkpoints after every epoch, from which an interrupted training run resumes; a damaged one is not used."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn

from cellda.runtime import progress
from cellda.runtime.storage.manifest import damage, seal
from cellda.runtime.tensor_file import write_tensors

WEIGHTS, LOSSES = "weights.safetensors", "losses.json"


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
    writing, name = folder / "writing", f"epoch_{epoch:05d}"
    shutil.rmtree(writing, ignore_errors=True)
    try:
        accelerator.save_state(str(writing))
        seal(writing, name)
        writing.rename(folder / name)
    except BaseException:
        shutil.rmtree(writing, ignore_errors=True)  # on a full disk, it would stand in the way
        raise
    for old in before:
        shutil.rmtree(old)


def resume(accelerator: Accelerator, folder: Path | None) -> int:
    """Load the newest sound checkpoint and return the number of epochs already done; damaged ones are named and removed."""
    found = sorted(folder.glob("epoch_*")) if folder is not None else []
    while found and (problem := damage(found[-1])) is not None:
        progress.note(f"The checkpoint {found[-1]} is damaged: {problem}. Training starts from before it.")
        shutil.rmtree(found.pop())
    if not found:
        return 0
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the caller's state is restored below
    accelerator.load_state(str(found[-1]))
    # Training uses only torch's generator; the other random states in the checkpoint must not overwrite the caller's.
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    return int(found[-1].name.removeprefix("epoch_"))


def trained_once(module: nn.Module, folder: Path, train: Callable[[], list[float]]) -> list[float]:
    """Train a module, or load the weights of a training that was finished before what follows it was interrupted.

    Args:
        module: It is trained, or its weights are replaced, in place; it is left in evaluation mode.
        folder: Where the finished weights are kept.
        train: Trains the module and returns the loss of every epoch.

    Returns:
        The loss of every epoch.
    """
    if folder.exists():
        problem = damage(folder)
        if problem is None:
            module.load_state_dict(load_file(folder / WEIGHTS))
            module.eval()
            return list(json.loads((folder / LOSSES).read_text(encoding="utf-8")))
        progress.note(f"The finished training in {folder} is damaged: {problem}. It is made again.")
        shutil.rmtree(folder)
    losses = train()
    folder.mkdir(parents=True)
    write_tensors(module.state_dict(), folder / WEIGHTS)
    (folder / LOSSES).write_text(json.dumps(losses), encoding="utf-8")
    seal(folder, folder.name)
    return losses
