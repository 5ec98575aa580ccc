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

from cellda.normalizers.reinhard import PAPER

LMS_OF_RGB = ((0.3811, 0.5783, 0.0402), (0.1967, 0.7244, 0.0782), (0.0241, 0.1288, 0.8444))
RGB_OF_LMS = ((4.4679, -3.5873, 0.1193), (-1.2186, 2.3809, -0.1624), (0.0497, -0.2439, 1.2045))
SQRT_2, SQRT_3, SQRT_6 = 2**0.5, 3**0.5, 6**0.5
TO_LMS, TO_RGB = torch.tensor(LMS_OF_RGB)[:, :, None, None], torch.tensor(RGB_OF_LMS)[:, :, None, None]
ROTATION = torch.tensor(
    (
        (1 / SQRT_3, 1 / SQRT_3, 1 / SQRT_3),
        (1 / SQRT_6, 1 / SQRT_6, -2 / SQRT_6),
        (1 / SQRT_2, -1 / SQRT_2, 0.0),
    )
)
TO_OPPONENT, FROM_OPPONENT = ROTATION[:, :, None, None], ROTATION.T[:, :, None, None]
PAPER_MEAN, PAPER_STD = torch.tensor(PAPER.mean)[:, None, None], torch.tensor(PAPER.std)[:, None, None]


def reinhard_by_sums(image: Tensor) -> Tensor:
    """The paper's colour transform of one `(3, H, W)` image in [0, 1], step by step, every matrix a broadcast sum."""
    log_lms = (TO_LMS * image.clamp(min=1 / 255)).sum(1).log()
    planes = (TO_OPPONENT * log_lms).sum(1)
    centred = planes - planes.mean((1, 2), keepdim=True)
    moved = centred * (PAPER_STD / planes.std((1, 2), keepdim=True)) + PAPER_MEAN
    lms = (FROM_OPPONENT * moved).sum(1).exp()
    return (TO_RGB * lms).sum(1).clamp(0, 1)


def reinhard(image: Tensor) -> Tensor:
    """The paper's colour transform of one `(3, H, W)` image in [0, 1], step by step, plane by plane."""
    red, green, blue = image.clamp(min=1 / 255)
    l_, m_, s_ = ((red * r + green * g + blue * b).log() for r, g, b in LMS_OF_RGB)
    planes = ((l_ + m_ + s_) / SQRT_3, (l_ + m_ - 2 * s_) / SQRT_6, (l_ - m_) / SQRT_2)
    first, second, third = (
        (plane - plane.mean()) * (std / plane.std()) + mean
        for plane, mean, std in zip(planes, PAPER.mean, PAPER.std, strict=True)
    )
    first, second, third = first / SQRT_3, second / SQRT_6, third / SQRT_2
    l_, m_, s_ = (first + second + third).exp(), (first + second - third).exp(), (first - 2 * second).exp()
    return torch.stack([r * l_ + g * m_ + b * s_ for r, g, b in RGB_OF_LMS]).clamp(0, 1)


class CellFiles(Dataset[tuple[Tensor, int]]):
    """Image files and labels; decoded, resized, augmented and normalized one at a time, in every epoch.

    Args:
        files: Image files.
        labels: Class index of each.
        size: Side in pixels.
        degrade: Whether to lower the resolution and zoom the image, as the paper does with Barcelona.
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
    frozen: bool = False,
) -> None:
    """The usual loop: all weights, Adam, BatchNorm in training mode or with frozen statistics."""
    loader = DataLoader(cells, batch_size, shuffle=True, num_workers=workers)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    model.train()
    for part in model.modules():
        if frozen and isinstance(part, nn.BatchNorm2d):
            part.eval()
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(model(images), labels, label_smoothing=smoothing))
            optimizer.step()
