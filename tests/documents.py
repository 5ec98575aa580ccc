"""The code of README and docs, and a small world in which it runs: folders and tables under the names it uses."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from tiny import target

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
    if "```" in page.read_text(encoding="utf-8")
)
SHELLS = {"sh", "bash"}


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    language: str
    text: str

    def commands(self) -> list[list[str]]:
        """The words of every command, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.finditer(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [Block(one[2], re.sub(f"^{one[1]}", "", one[3], flags=re.MULTILINE)) for one in found]


def draw_world(home: Path) -> None:
    """The folders that the pages name, with drawn cells."""
    wbc = home / "wbc"
    for place, (code, name) in enumerate(zip(("BA", "EO", "ERB", "LY", "MO", "SNE"), CLASSES, strict=True)):
        for number, image in enumerate(_cells(0, place, 18)):
            _save(image, wbc / "barcelona" / "PBC_dataset_normal_DIB" / name / f"{code}_{number}.jpg")
    for place, name in enumerate(CLASSES):
        if name != "erythroblast":
            for number, image in enumerate(_cells(1, place, 24)):
                _save(image, wbc / "raabin" / "Train" / name.capitalize() / f"95-8-12-{number}_82_1.jpg")
        if name not in {"basophil", "erythroblast"}:
            for number, image in enumerate(_cells(2, place, 6)):
                photo = wbc / "bccd" / "dataset2-master" / "images" / "TRAIN" / name.upper()
                _save(image, photo / f"_{number}_7.jpeg")
    for place, first in ((2, 0), (5, 4)):
        cells = _cells(3, place, 24)
        for stage in range(first, 10 if first else 4):
            for number, image in enumerate(cells[4 * (stage - first) :][:4]):
                _save(image, wbc / "jin_woo_choi" / "data_WBC_torch" / str(stage) / f"{number}.jpg")
    for place, code in enumerate(("BAS", "EBO", "EOS", "LYT", "MON", "NGS")):
        for number, image in enumerate(_cells(6, (0, 2, 1, 3, 4, 5)[place], 8)):
            _save(image, wbc / "munich_2019" / "AML-Cytomorphology_LMU" / code / f"{code}_{number:04d}.tiff")
    for place, name in enumerate(CLASSES):
        for number, image in enumerate(_cells(4, place, 6)):
            for folder in ("my_cells", "my_smears"):
                _save(image, home / folder / name / f"{number}.png")
            _save(image, home / "new_images" / f"{place * 6 + number + 1}.png")
        for number, image in enumerate(_cells(5, place, 24)):
            _save(image, home / "my_images" / f"slide_{number % 2}" / f"{name}_{number}.png")
    for number in (1, 2):
        _save(_cells(4, number, 1)[0], home / f"cell_{number}.png")
    for name, kept in RESULTS.items():
        (home / name).symlink_to(ROOT / "benchmarks" / "results" / kept)
    mine = pd.read_parquet(ROOT / "benchmarks" / "results" / "first_light" / "predictions.parquet").head(30)
    keys = ["target", "draw", "seed", "protocol", "path", "group", "label", "predicted"]
    mine[[*keys, *(name for name in mine if name.startswith("p_"))]].to_csv(home / "mine.csv", index=False)


RESULTS = {"zoo": "conditions", "seed_0": "conditions", "seed_1": "stain_jitter"}
"""What commands that take hours would have left, and stored results that stand in for it."""
CLASSES = ("basophil", "eosinophil", "erythroblast", "lymphocyte", "monocyte", "neutrophil")


def _cells(variant: int, place: int, number: int) -> list[Image.Image]:
    cells = target(variant, per_class=number)
    rows = [row for row, name in enumerate(cells.table["label"]) if name == CLASSES[place]][:number]
    return [Image.fromarray(one.permute(1, 2, 0).numpy()) for one in cells.read(rows, 40)]


def _save(image: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


def label(table: Path) -> None:
    """Write what each cell is into a table, as a person does; the class is in the names of the files."""
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    rows["label"] = [Path(path).name.partition("_")[0] for path in rows["path"]]
    rows.to_csv(table, index=False)
