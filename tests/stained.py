"""Images of one stained cell each, in which every one has a nucleus that is found."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 64


def stained_cells(folder: Path, count: int) -> Path:
    """Write `000.png` and so on: a violet nucleus in pale cytoplasm, each of another size and shade; no two are alike."""
    rng = np.random.default_rng(0)
    for number in range(count):
        image = Image.new("RGB", (SIDE, SIDE), (240, 228, 232))
        draw = ImageDraw.Draw(image)
        for radius, shade in ((24, (215, 190, 215)), (9 + number % 8, (70 + 3 * number % 60, 35, 130))):
            x, y = 32 + rng.integers(-3, 4, 2)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
        noise = rng.integers(-4, 5, (SIDE, SIDE, 3))
        pixels = np.clip(np.asarray(image).astype(int) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder
