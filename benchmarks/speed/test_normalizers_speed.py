"""The Reinhard transform, in both colour spaces, against its formulas written out and against other libraries."""

from typing import Any

import cv2
import kornia.color
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor
from torch_staintools.normalizer import NormalizerBuilder
from torchstain.torch.normalizers.reinhard import TorchReinhardNormalizer

import cellda.datasets
import cellda.normalizers
from benchmarks.speed import plain
from benchmarks.speed.contest import THREADS, Peer, contest
from cellda.normalizers.reinhard import Reference

COUNT, SIDE = 64, 224


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Cells without black padding, `(64, 3, 224, 224)` in [0, 1]."""
    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)
    return cellda.datasets.load("synthetic/0", per_class=11).read(range(COUNT), SIDE).contiguous() / 255


def floor(images: Tensor) -> Tensor:
    """A logarithm, an exponential and one copy of every value, in parts that fit into the cache."""
    result = torch.empty_like(images)
    values, copies = images.flatten(), result.flatten()
    for start in range(0, len(values), 2**20):
        copies[start : start + 2**20] = values[start : start + 2**20].log().exp_()
    return result


def test_lalphabeta(benchmark: Any, images: Tensor) -> None:
    """l-alpha-beta with the paper's reference."""
    normalizer = cellda.normalizers.create("reinhard")
    for formulas in (plain.reinhard, plain.reinhard_by_sums):
        one_by_one = torch.stack([formulas(image) for image in images])
        torch.testing.assert_close(normalizer(images), one_by_one, atol=1e-4, rtol=0)
    contest(
        benchmark,
        "reinhard_lalphabeta",
        lambda: normalizer(images),
        {
            "formulas, broadcast sums": Peer(lambda: [plain.reinhard_by_sums(image) for image in images], 3),
            "formulas, plane by plane": Peer(lambda: [plain.reinhard(image) for image in images]),
            "floor: log + exp + copy": Peer(lambda: floor(images)),
        },
        images=COUNT,
        rounds=15,
    )


def with_kornia(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The batch, composed of kornia's conversions; the reference as `(3, 1, 1)`."""
    lab = kornia.color.rgb_to_lab(images)
    centred = lab - lab.mean((2, 3), keepdim=True)
    result: Tensor = kornia.color.lab_to_rgb(centred * (std / lab.std((2, 3), keepdim=True)) + mean)
    return result


Picture = NDArray[np.float32]
"""`(H, W, 3)` in [0, 1]."""


def moved(lab: Picture, mean: Picture, std: Picture) -> Picture:
    """CIELAB of one image with the reference's mean and deviation."""
    pixels = lab.reshape(-1, 3)
    gain = std / pixels.std(0, ddof=1)
    result: Picture = lab * gain + (mean - pixels.mean(0) * gain)
    return result


def with_scikit_image(picture: Picture, mean: Picture, std: Picture) -> Picture:
    """One image, composed of scikit-image's conversions."""
    result: Picture = lab2rgb(moved(rgb2lab(picture), mean, std))
    return result


def with_opencv(picture: Picture, mean: Picture, std: Picture) -> Picture:
    """One image, composed of OpenCV's conversions."""
    lab = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), np.float32)
    return np.asarray(cv2.cvtColor(moved(lab, mean, std), cv2.COLOR_LAB2RGB), np.float32)


def test_lab(benchmark: Any, images: Tensor) -> None:
    """CIELAB; the reference is the first image's, so that libraries that can only be fitted to an image have it too."""
    first = kornia.color.rgb_to_lab(images[:1].double()).flatten(2)[0]
    mean, std = first.mean(1).float(), first.std(1).float()
    a, b, c = mean.tolist()
    d, e, f = std.tolist()
    reference = Reference(mean=(a, b, c), std=(d, e, f))
    normalizer = cellda.normalizers.create("reinhard", space="lab", reference=reference)

    # Each library gets the images as its interface wants them: torchstain one by one from 0 to 255, arrays last.
    levels = [image * 255 for image in images]
    pictures = [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in images]
    torchstain = TorchReinhardNormalizer()
    torchstain.fit(levels[0])
    staintools = NormalizerBuilder.build("reinhard", luminosity_threshold=None)
    staintools.fit(images[:1])
    columns, goal = (mean[:, None, None], std[:, None, None]), (mean.numpy(), std.numpy())

    ours = normalizer(images)

    def batched(found: list[Picture]) -> Tensor:
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)

    def near(found: Tensor, tolerance: float) -> None:
        torch.testing.assert_close(found.float(), ours, atol=tolerance, rtol=0)

    near(with_kornia(images, *columns), 1e-4)
    near(staintools(images), 2e-3)
    # torchstain rounds down to whole levels; matrices and white points differ slightly between libraries.
    stained = torch.stack([torchstain.normalize(level) for level in levels]).permute(0, 3, 1, 2)
    near(stained / 255, 2.5 / 255)
    near(batched([with_scikit_image(picture, *goal) for picture in pictures]), 2e-3)
    near(batched([with_opencv(picture, *goal) for picture in pictures]), 5e-3)
    contest(
        benchmark,
        "reinhard_lab",
        lambda: normalizer(images),
        {
            "kornia": Peer(lambda: with_kornia(images, *columns), 4),
            "torchstain": Peer(lambda: [torchstain.normalize(level) for level in levels], 8),
            "torch-staintools": Peer(lambda: staintools(images), 1),
            "scikit-image": Peer(lambda: [with_scikit_image(picture, *goal) for picture in pictures], 1),
            "opencv": Peer(lambda: [with_opencv(picture, *goal) for picture in pictures], 1),
        },
        images=COUNT,
        rounds=15,
    )
