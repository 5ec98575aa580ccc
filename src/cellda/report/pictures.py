"""Small pictures of cells inside a page."""

import base64
import io
import math

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import resize

SIDE = 64
"""Side of a cell in a page, in pixels."""


def small(pixels: UInt8[Tensor, "n 3 s s"], side: int = SIDE) -> UInt8[np.ndarray, "n side side 3"]:
    """Cells in the size in which they are shown."""
    if pixels.shape[-1] != side:
        pixels = resize(pixels, [side, side], antialias=True)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())


def uri(image: UInt8[np.ndarray, "h w 3"], *, quality: int = 85) -> str:
    """An image as a data address, which a page needs no other file for."""
    with io.BytesIO() as content:
        Image.fromarray(image).save(content, "JPEG", quality=quality)
        return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def sheet(images: UInt8[np.ndarray, "n side side 3"]) -> tuple[str, list[tuple[int, int]]]:
    """All cells in one image, which takes less room; and where each lies, in cells from the left and top."""
    number, side = len(images), images.shape[1]
    wide = max(1, math.ceil(math.sqrt(number)))
    whole = np.full((math.ceil(number / wide) * side, wide * side, 3), 255, np.uint8)
    places = [(place % wide, place // wide) for place in range(number)]
    for image, (x, y) in zip(images, places, strict=True):
        whole[y * side : (y + 1) * side, x * side : (x + 1) * side] = image
    return uri(whole, quality=80), places


def heated(image: UInt8[np.ndarray, "s s 3"], heat: Float[Tensor, "h w"]) -> UInt8[np.ndarray, "s s 3"]:
    """An image in grey under a heat map: from blue, which plays no part, to red."""
    from matplotlib import colormaps

    side = image.shape[0]
    wide = torch.nn.functional.interpolate(heat[None, None].float(), size=(side, side), mode="bilinear")[
        0, 0
    ].numpy()
    colour = colormaps["turbo"](wide)[..., :3] * 255
    grey = image.mean(2, keepdims=True)
    return np.asarray(0.5 * colour + 0.5 * grey, np.uint8)
