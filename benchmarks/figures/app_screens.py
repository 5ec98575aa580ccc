"""Pictures of the app for the documentation: rendered cells, labelled and adapted to in a real browser.

    python -m benchmarks.figures.app_screens --out docs/images

Draws a folder of cells, goes through the four steps by keys and clicks, and keeps the screens as `app_label.webp`,
`app_adapt.webp` and `app_results.webp`.
"""

import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

import cellda.datasets
from benchmarks.common.browser import ADDRESS, app, served, window
from benchmarks.common.options import command, command_line
from benchmarks.speed.app import WAIT, Journey

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENTS = ("patient 07", "patient 11", "patient 12")


def drawn(folder: Path, per_class: int) -> dict[str, str]:
    """Draw cells of three patients, and say what each file shows."""
    cells = cellda.datasets.load("synthetic/3", per_class=per_class)
    images = cells.read(range(len(cells)), 128).permute(0, 2, 3, 1).numpy()
    truth = {}
    for place, name in enumerate(cells.table["label"]):
        path = f"{PATIENTS[place % len(PATIENTS)]}/{place:03d}.png"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[place]).save(folder / path)
        truth[path] = name
    return truth


def keep(page: "Page", file: Path) -> None:
    """Save what is seen."""
    seen = Image.open(io.BytesIO(page.screenshot()))
    seen.save(file, quality=90, method=6)


def label(journey: Journey, page: "Page", number: int, truth: dict[str, str]) -> None:
    """Give so many labels."""
    keys = {
        one.get_attribute("data-name"): one.get_attribute("data-place")
        for one in page.locator("#classes button[data-place]").all()
    }
    for _ in range(number):
        name = page.inner_text("#name")
        journey.press(str(keys[truth[name]]))
        page.wait_for_function("name => document.getElementById('name').textContent !== name", arg=name)


def show(page: "Page", address: str, number: int, out: Path, truth: dict[str, str]) -> None:
    """Go through the steps."""
    journey = Journey(page, address.partition("?")[0], out)
    page.goto(address)
    page.wait_for_selector("#cells .cell img")
    journey.click("main a[href='/label']")
    page.wait_for_load_state()
    page.fill("#number", str(number))
    journey.press("Enter")
    page.wait_for_selector("#work:not([hidden]) #counts li", timeout=WAIT)
    label(journey, page, number // 2, truth)
    page.wait_for_load_state("networkidle")
    keep(page, out / "app_label.webp")
    label(journey, page, number - number // 2 - 1, truth)
    journey.click("main a[href='/adapt']")
    journey.click("#adapt")
    page.wait_for_selector("#good", timeout=WAIT)
    keep(page, out / "app_adapt.webp")
    journey.click("main a[href='/results']")
    page.wait_for_selector("#cells .cell img")
    page.wait_for_load_state("networkidle")
    keep(page, out / "app_results.webp")


def main(given: Sequence[str] | None = None) -> None:
    """Draw the cells, start the app and a browser, keep the screens."""
    parser = command_line(__doc__)
    parser.add_argument("--per-class", type=int, default=40, help="cells of each class")
    parser.add_argument("--labels", type=int, default=60, help="number of cells to label")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    chosen = parser.parse_args(given)
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "my_images"
        truth = drawn(folder, chosen.per_class)
        with served(app(sys.executable, folder), ADDRESS) as address, window((1280, 800)) as page:
            show(page, address, chosen.labels, chosen.out, truth)


if __name__ == "__main__":
    command(main)
