"""What a user would write without cellda: the paper's steps, image by image, in plain PyTorch."""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

TO_LMS = torch.tensor([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
TO_RGB = torch.tensor([[4.4679, -3.5873, 0.1193], [-1.2186, 2.3809, -0.1624], [0.0497, -0.2439, 1.2045]])
PAPER_MEAN = torch.tensor([-0.4052762362389589, -0.07202646968215255, 0.01747981861569773])
PAPER_STD = torch.tensor([0.45889156503010636, 0.15995689328283794, 0.02254376531226124])


def _mixed(image: Tensor, matrix: Tensor) -> Tensor:
    return (matrix[:, :, None, None] * image).sum(1)


def reinhard(image: Tensor) -> Tensor:
    """The paper's colour transform of one `(3, H, W)` image in [0, 1], step by step."""
    l_, m, s = _mixed(image.clamp(min=1 / 255), TO_LMS).log()
    space = torch.stack([(l_ + m + s) / 3**0.5, (l_ + m - 2 * s) / 6**0.5, (l_ - m) / 2**0.5])
    mean, std = space.mean((1, 2)), space.std((1, 2))
    space = (space - mean[:, None, None]) * (PAPER_STD / std)[:, None, None] + PAPER_MEAN[:, None, None]
    first, second, third = space[0] / 3**0.5, space[1] / 6**0.5, space[2] / 2**0.5
    lms = torch.stack([first + second + third, first + second - third, first - 2 * second]).exp()
    return _mixed(lms, TO_RGB).clamp(0, 1)


class CellFiles(Dataset[tuple[Tensor, int]]):
    """Image files and labels; decoded, resized, augmented and normalised one at a time, in every epoch.

    Args:
        files: Image files.
        labels: Class index of each.
        size: Side in pixels.
        degrade: Whether resolution is lowered and the image zoomed, as the paper does with Barcelona.
    """

    def __init__(self, files: Sequence[Path], labels: Sequence[int], size: int, *, degrade: bool) -> None:
        self.files, self.labels, self.size, self.degrade = list(files), list(labels), size, degrade
        self.turn = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.open(self.files[index]).convert("RGB").resize((self.size, self.size))
        image = TF.to_dtype(TF.pil_to_tensor(picture), torch.float32, scale=True)
        if self.degrade:
            side = random.randint(round(0.22 * self.size), round(0.9 * self.size))
            image = TF.resize(TF.resize(image, [side, side]), [self.size, self.size])
            image = TF.affine(image, 0, [0, 0], random.uniform(0.6, 1.4), [0, 0])
        return self.turn(reinhard(image)), self.labels[index]


def train(
    model: nn.Module,
    cells: CellFiles,
    *,
    epochs: int,
    batch_size: int,
    workers: int,
    smoothing: float = 0.1,
    lr: float = 1e-4,
) -> None:
    """The usual loop: all weights, Adam, BatchNorm as `train()` leaves it."""
    loader = DataLoader(cells, batch_size, shuffle=True, num_workers=workers)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    model.train()
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(model(images), labels, label_smoothing=smoothing))
            optimizer.step()
