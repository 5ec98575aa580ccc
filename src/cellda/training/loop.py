"""The training loop, built on accelerate; source training and every adapter use it."""

import math
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator, DataLoaderConfiguration, PartialState
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader

from cellda.data.image_set import ImageSet
from cellda.errors import CelldaError
from cellda.models.classifier import CellClassifier
from cellda.models.finite import DivergedError, check_finite
from cellda.models.folding import find_pairs, folded
from cellda.runtime import progress
from cellda.runtime.device import DevicePlan, plan_for, tuned_convolutions
from cellda.runtime.events import EpochDone, tell
from cellda.runtime.group import joined
from cellda.runtime.memory import keep_freed_memory
from cellda.runtime.work import Stage, Work
from cellda.training.batches import Batches, Mix, Order
from cellda.training.checkpoints import checkpoint, keep_as, resume
from cellda.training.epoch import Epoch, Prepared
from cellda.training.examples import Batch, Examples
from cellda.training.objective import CrossEntropy, Objective
from cellda.training.optimizer import optimizer_of, schedule_of
from cellda.training.settings import Training
from cellda.training.sharing import shared

EPOCH_SEEDS = 1_000_003
TRAINING, PREDICTING, EMBEDDING = Work(Stage.TRAIN), Work(Stage.PREDICT), Work(Stage.EMBED)


class Trainer:
    """Trains and applies modules on one device; processes that a launcher has started help to train (`training.ranks`).

    Args:
        device: `"auto"` uses a GPU if there is one, `"cpu"` never does.
        plan: How the device is used; by default the settings that were measured to be fastest on it.

    Raises:
        ConfigurationError: If a launcher has started this process beside others, and they are not told to help, or cannot
            train together on the device.
    """

    def __init__(self, device: Literal["auto", "cpu"] = "auto", plan: DevicePlan | None = None) -> None:
        self._cpu, self._group = device == "cpu", joined()
        self.device: torch.device = PartialState(cpu=self._cpu).device
        if self._group is not None:
            self._group.check(self.device)
        self.plan = plan or plan_for(self.device)
        if self.device.type == "cpu":
            keep_freed_memory()

    @property
    def described(self) -> str:
        """Device, processor, threads and, if there are several, processes: what results record."""
        several = "" if self._group is None else f", {self._group.place.size} processes"
        return f"{self.device}, {platform.machine()}, {torch.get_num_threads()} threads{several}"

    def _accelerator(self) -> Accelerator:
        # The loop sets the precision: accelerate would patch it into the module, and allows only one per process.
        return Accelerator(
            cpu=self._cpu,
            mixed_precision="no",
            dataloader_config=DataLoaderConfiguration(non_blocking=self.plan.pinned),
        )

    def fit(
        self,
        module: nn.Module,
        examples: Examples,
        settings: Training,
        *,
        seed: int,
        work: Work = TRAINING,
        order: Order | None = None,
        objective: Objective | None = None,
        checkpoints: Path | None = None,
    ) -> list[float]:
        """Train `module` in place and leave it in evaluation mode.

        With `bn="frozen"`, a copy that shares the parameters and buffers is trained in its place: attributes that `forward`
        sets on the module are lost.

        Args:
            module: Maps inputs to logits; parameters with `requires_grad=False` are not changed.
            examples: What to train on.
            settings: Epochs, batch size, optimizer and so on.
            seed: Seed of the order, the augmentation and dropout; the caller's random state is preserved.
            work: Its name in the progress bar and in messages.
            order: Which examples an epoch sees and in which order; by default all, shuffled.
            objective: The loss to minimise; by default cross-entropy with the label smoothing of `settings`.
            checkpoints: Folder for a checkpoint after every epoch, from which an interrupted call resumes.

        Returns:
            Mean training loss of every epoch, including those before an interruption.

        Raises:
            DivergedError: If the loss is no longer finite.
        """
        accelerator = self._accelerator()
        batches = Batches(order or Mix((len(examples),)), settings.batch_size, seed)
        objective = objective or CrossEntropy(settings.label_smoothing)
        loader: DataLoader[Batch] = DataLoader(
            examples,  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=_as_is,  # type: ignore[arg-type]
            pin_memory=self.plan.pinned,
        )
        to_device(module, self.device)
        optimizer = optimizer_of(module, objective, settings)
        steps = settings.epochs * len(batches)
        losses = _Losses()
        accelerator.register_for_checkpointing(losses)
        keep_as(module, accelerator)
        with (
            progress.task(work, steps) as advance,
            torch.random.fork_rng(),
            tuned_convolutions(),
            shared(
                module, self._quick(module, examples, settings, steps), optimizer, self._group, work
            ) as quick,
        ):
            prepared = accelerator.prepare(quick, optimizer, schedule_of(optimizer, settings, steps), loader)
            epoch_of = Epoch(accelerator, self.plan, examples, objective, settings, Prepared(*prepared))
            first = resume(accelerator, checkpoints)
            advance(first * len(batches))
            for epoch, loss in enumerate(losses.values):
                tell(EpochDone(work, epoch, loss))
            for epoch in range(first, settings.epochs):
                batches.epoch = epoch
                # Every epoch has its own seeds, so that a resumed run continues exactly like an uninterrupted one.
                torch.manual_seed(seed * EPOCH_SEEDS + epoch)
                generator = Generator().manual_seed(seed * EPOCH_SEEDS + epoch)
                loss = epoch_of.run(generator, epoch * len(batches) / steps, 1 / steps, advance)
                losses.values.append(loss)
                tell(EpochDone(work, epoch, loss))
                if not math.isfinite(loss):
                    raise DivergedError(
                        f"{work}: the loss is no longer finite in epoch {epoch + 1} of {settings.epochs}; "
                        f"try a learning rate below lr={settings.lr}."
                    )
                checkpoint(accelerator, checkpoints, epoch + 1)
        if checkpoints is not None:
            shutil.rmtree(checkpoints)
        module.eval()
        return losses.values

    def _quick(self, module: nn.Module, examples: Examples, settings: Training, steps: int) -> nn.Module:
        """A faster module that trains the same parameters as `module`."""
        if settings.bn == "frozen":
            if isinstance(module, CellClassifier):
                module = module.folded()
            else:
                pixels, labels, parts = examples.__getitems__(range(1))
                few = examples.prepare((pixels.to(self.device), labels, parts), Generator().manual_seed(0))
                module = folded(module, find_pairs(module, few))
        # What several processes share is not compiled: their exchange would break it into pieces.
        if self._group is None and self.plan.compiler is not None and self.plan.compiles(steps):
            module = torch.compile(module, backend=self.plan.compiler)  # type: ignore[assignment]
        return module

    @torch.no_grad()
    def probabilities(
        self, model: CellClassifier, images: ImageSet, work: Work = PREDICTING
    ) -> Float[Tensor, "n c"]:
        """Class probabilities `(N, classes)` of raw images, on the CPU."""
        return self.map(model, images, CellClassifier.probabilities, work)

    @torch.no_grad()
    def embeddings(
        self, model: CellClassifier, images: ImageSet, work: Work = EMBEDDING
    ) -> Float[Tensor, "n d"]:
        """Embeddings `(N, 128)` of raw images, on the CPU."""
        return self.map(model, images, CellClassifier.embedded, work)

    @torch.no_grad()
    def apply(self, head: nn.Module, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Output of a head for embeddings `(N, D)`, on the CPU.

        Raises:
            DivergedError: If it is not finite.
        """
        found: Tensor = head.to(self.device).eval()(features.to(self.device)).cpu()
        check_finite(found.softmax(1), "Applying a head")  # a logit of minus infinity is a probability of 0
        return found

    def map(
        self,
        model: CellClassifier,
        images: ImageSet,
        function: Callable[[CellClassifier, Tensor], Tensor],
        work: Work,
    ) -> Float[Tensor, "n k"]:
        """What a function of the model and raw batches gives `(N, K)`, of all images, on the CPU.

        Args:
            model: It is not changed; a copy that predicts as fast as it can is handed to `function`.
            images: The images.
            function: From the copy and a batch of raw pixels to `(B, K)`.
            work: What the bar and messages call it.

        Raises:
            CelldaError: If there are no images.
            DivergedError: If a value is not finite.
        """
        to_device(model, self.device)
        quick, size = model.for_inference(), self.plan.inference_batch
        # One block, filled batch by batch: the memory of many small results would not be returned. It is copied to the CPU
        # at the end, because a copy per batch would make a GPU finish each batch before the next one is sent.
        result: Tensor | None = None
        with progress.task(work, len(images)) as advance, tuned_convolutions():
            for start in range(0, len(images), size):
                positions = range(start, min(start + size, len(images)))
                pixels = images.raw(positions)
                if self.plan.pinned:
                    pixels = pixels.pin_memory().to(self.device, non_blocking=True)
                found = function(quick, pixels)
                if result is None:
                    result = found.new_empty(len(images), found.shape[1])
                result[start : start + len(found)] = found
                advance(len(positions))
        if result is None:
            raise CelldaError(f"{work}: there are no images.")
        return check_finite(result.cpu(), str(work).capitalize())


class _Losses:
    """Mean loss of every epoch so far; saved in checkpoints."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def state_dict(self) -> dict[str, list[float]]:
        return {"values": self.values}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        self.values = state["values"]


def to_device(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a module in place, with its convolutions in channels-last order, which is a third faster on CPUs."""
    return module.to(device).to(memory_format=torch.channels_last)


def _as_is(batch: Batch) -> Batch:
    return batch
