"""The picture of README and docs: drawn cells of five laboratories before and after normalization.

python benchmarks/normalization_figure.py
"""

from pathlib import Path

import torch

import cellda.datasets
import cellda.normalizers
from cellda.reporting.figures import contact_sheet, save_figure
from cellda.taxonomy import CLASSES

FILE = Path(__file__).parent.parent / "docs" / "images" / "normalization.png"
DOMAINS = ("synthetic/0", "synthetic/1", "synthetic/3", "synthetic/6", "synthetic/7", "synthetic/9")
SIZE = 160


def main() -> None:
    """Draw one cell of each class, each from another laboratory, and normalise them."""
    cells = []
    for index, name in enumerate(DOMAINS):
        dataset = cellda.datasets.load(name, per_class=1)
        cells.append(dataset.read([index], SIZE))
    images = torch.cat(cells).float() / 255
    after = cellda.normalizers.create("reinhard")(images)
    titles = [f"{label}\n{domain}" for label, domain in zip(CLASSES, DOMAINS, strict=True)]
    sheet = contact_sheet([images, after], ["before", "after"], titles)
    save_figure(sheet, FILE, dpi=110)


if __name__ == "__main__":
    main()
