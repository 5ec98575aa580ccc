"""Settings that keep each kind of device busy, chosen by measurement (docs/speed.md)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from cellda.errors import ConfigurationError


@dataclass(frozen=True)
class DevicePlan:
    """Settings that speed up work on a device.

    Attributes:
        precision: `"bf16"` runs matrix products and convolutions in bfloat16.
        compiler: Backend of `torch.compile` for long trainings; None never compiles.
        compile_from: Minimum number of training steps that makes up for the minute or two of compiling.
        pinned: Whether batches are copied from pinned memory while the device still computes.
        inference_batch: Images predicted together.
    """

    precision: Literal["no", "bf16"] = "no"
    compiler: str | None = None
    compile_from: int = 3000
    pinned: bool = False
    inference_batch: int = 64

    def compiles(self, steps: int) -> bool:
        """Whether to compile for a training run of this many steps."""
        return self.compiler is not None and steps >= self.compile_from


# bfloat16 autocast was ten times slower on a CPU without the instructions for it, and compiling took 70 to 90 s
# without a gain; the activations of 16 images are as large as glibc keeps by default (`cellda.runtime.memory`).
CPU = DevicePlan(inference_batch=16)
CUDA = DevicePlan(precision="bf16", compiler="inductor", pinned=True, inference_batch=256)


def plan_for(device: torch.device, *, bf16: bool | None = None) -> DevicePlan:
    """The plan for a device.

    Args:
        device: Where the work runs.
        bf16: Whether the device supports bfloat16; by default, the device is queried.
    """
    if device.type == "cpu":
        return CPU
    if device.type != "cuda":
        return DevicePlan()
    fast = torch.cuda.is_bf16_supported(including_emulation=False) if bf16 is None else bf16
    return CUDA if fast else DevicePlan(compiler="inductor", pinned=True, inference_batch=256)


@contextmanager
def tuned_convolutions() -> Iterator[None]:
    """Context in which cuDNN times its algorithms and keeps the fastest: image sizes do not change within a run."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def device_named(name: str) -> torch.device:
    """The device of this name; `"auto"` is an accelerator if there is one.

    Raises:
        ConfigurationError: If there is no such device.
    """
    if name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ConfigurationError(
            f"There is no device '{name}' here; use one that this machine has: {', '.join(_devices())}."
        ) from None
    return device


def _devices() -> list[str]:
    """Names of the devices of this machine, the CPU first."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        return ["cpu"]
    return [
        "cpu",
        found.type,
        *(f"{found.type}:{number}" for number in range(torch.accelerator.device_count())),
    ]
