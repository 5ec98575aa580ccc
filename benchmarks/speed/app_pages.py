"""How long a person waits for the pages of the app: the grid of many images, and the next cell after a key.

    python -m benchmarks.speed.app_pages --images cells

A copy of `--images` with `--number` files (the same images again under other names) is opened in a headless Chromium. Timed in
the browser: until the grid stands, until every picture in view is there, the same on a second visit and after a jump to the
end, and from each of `--labels` keys until the picture of the next cell is painted. Writes `benchmarks/results/app/pages.csv`.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.common.browser import ADDRESS, app, served, window
from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table

if TYPE_CHECKING:
    from playwright.sync_api import Page

IN_VIEW = """() => {
  const place = document.getElementById('cells'), box = place.getBoundingClientRect();
  const seen = [...place.querySelectorAll('.cell')].filter((one) => {
    const at = one.getBoundingClientRect();
    return at.bottom > box.top && at.top < Math.min(box.bottom, innerHeight);
  });
  return seen.length > 0 && seen.every((one) => one.querySelector('img')?.complete && one.querySelector('img').naturalWidth);
}"""
"""Whether every picture in view is there."""

TIMED_KEY = """(key) => new Promise((done) => {
  const look = document.getElementById('look'), before = look.src, begin = performance.now();
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  const wait = async () => {
    if (look.src === before) return requestAnimationFrame(wait);
    await look.decode();
    requestAnimationFrame(() => done(performance.now() - begin));
  };
  wait();
})"""
"""Milliseconds from a key until the next cell is painted."""


def copies(images: Path, number: int, folder: Path) -> Path:
    """A folder with so many images."""
    files = [one for one in sorted(images.rglob("*")) if one.is_file()]
    folder.mkdir()
    for place in range(number):
        file = files[place % len(files)]
        shutil.copyfile(file, folder / f"{place:06d}{file.suffix}")
    return folder


def until(page: "Page", condition: str) -> float:
    """Seconds until a condition holds in the page, which is asked at every frame."""
    begin = time.perf_counter()
    page.wait_for_function(condition, polling="raf", timeout=120_000)
    return time.perf_counter() - begin


def visit(page: "Page", address: str, name: str) -> list[dict[str, object]]:
    """Open the first page, and jump to its end."""
    begin = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("#cells .cell")
    stands = time.perf_counter() - begin
    pictures = stands + until(page, IN_VIEW)
    page.focus("#cells")
    page.keyboard.press("End")
    page.wait_for_function("() => document.getElementById('cells').scrollTop > 0", polling="raf")
    return [
        {"what": f"{name}: grid stands", "seconds": stands},
        {"what": f"{name}: every picture in view", "seconds": pictures},
        {"what": f"{name}: jump to the end, every picture in view", "seconds": until(page, IN_VIEW)},
    ]


def keys(page: "Page", base: str, number: int) -> list[dict[str, object]]:
    """Label cells one by one as fast as the page lets."""
    page.goto(f"{base}label")
    page.fill("#number", str(number))
    page.keyboard.press("Enter")
    page.wait_for_selector("#work:not([hidden]) #counts li", timeout=1_200_000)
    page.wait_for_function("() => document.getElementById('look').complete")
    took = [page.evaluate(TIMED_KEY, "1") / 1000 for _ in range(number - 1)]
    return [
        {"what": "key to next cell: median", "seconds": float(np.median(took))},
        {"what": "key to next cell: longest", "seconds": max(took)},
    ]


def main(given: Sequence[str] | None = None) -> None:
    """Start the app and a browser, and write the times."""
    parser = command_line(__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of images")
    parser.add_argument("--number", type=int, default=10_000, help="number of images in the grid")
    parser.add_argument("--labels", type=int, default=60, help="number of cells to label")
    parser.add_argument("--out", type=Path, default=RESULTS / "app", help="folder of the results")
    chosen = parser.parse_args(given)
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = copies(chosen.images, chosen.number, Path(place) / "cells")
        with served(app(sys.executable, folder), ADDRESS) as address, window() as page:
            rows = [*visit(page, address, "first visit"), *visit(page, address, "second visit")]
        few = copies(chosen.images, 5 * chosen.labels, Path(place) / "few")
        with served(app(sys.executable, few), ADDRESS) as address, window() as page:
            page.goto(address)
            rows += keys(page, address.partition("?")[0], chosen.labels)
    table = pd.DataFrame(rows).assign(images=chosen.number, keys=chosen.labels)
    write_table(table.round({"seconds": 3}), chosen.out / "pages.csv")


if __name__ == "__main__":
    command(main)
