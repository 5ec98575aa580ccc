"""Image files of drawn cells, for tests of what people do with a folder."""

from pathlib import Path

from PIL import Image

from tiny import target


def drawn(folder: Path, number: int, slides: int) -> Path:
    """So many cells, in turn on the slides of one patient; the class of each is in its name (`07_monocyte.png`)."""
    cells = target(0)
    pixels = cells.read(range(number), 48).permute(0, 2, 3, 1).numpy()
    for place, name in enumerate(cells.table["label"][:number]):
        file = folder / "anna" / f"slide {place % slides}" / f"{place:02d}_{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[place]).save(file)
    return folder


def class_of(path: str) -> str:
    """The class in the name of such a file."""
    return path.rpartition("_")[2].removesuffix(".png")
