"""From a folder of unlabelled images to labels, model, report, counts and predictions, in a real browser as a person would.

    python -m benchmarks.speed.app --images cells --truth truth.csv --screens screens

A headless Chromium is driven by keys and clicks alone: choose cells, label each after `--pause` seconds with what `--truth`
(`path,label`, below the folder) says, adapt, look at the results, write the report, save predictions and counts. Every step
is timed, and the screen after it kept in `--screens`. Writes `benchmarks/results/app/journey.csv` (`--name`): the steps with
their seconds, the number of keys and clicks, and the share of right predictions among the cells without a label. `--python`
runs the app of another environment, such as a fresh one made from the wheel.
"""

import csv
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.common.browser import ADDRESS, app, served, window
from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table

if TYPE_CHECKING:
    from playwright.sync_api import Page

WAIT = 600_000
"""Milliseconds that a step may take."""


class Journey:
    """The steps that a person makes, timed."""

    def __init__(self, page: "Page", base: str, screens: Path) -> None:
        self.page, self.base, self.screens = page, base, screens
        self.rows: list[dict[str, Any]] = []
        self._actions = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step, and keep the screen after it."""
        begin, self._actions = time.perf_counter(), 0
        yield
        seconds = time.perf_counter() - begin
        self.rows.append({"step": name, "seconds": seconds, "keys_and_clicks": self._actions})
        self.page.screenshot(
            path=self.screens / f"{len(self.rows)}_{name.replace(' ', '_')}.png", full_page=True
        )

    def click(self, place: str) -> None:
        """Click on something."""
        self.page.click(place)
        self._actions += 1

    def press(self, key: str) -> None:
        """Press a key."""
        self.page.keyboard.press(key)
        self._actions += 1

    def take(self, place: str) -> Path:
        """Click on a file to save it."""
        with self.page.expect_download() as got:
            self.click(place)
        return got.value.path()


def travel(
    page: "Page", address: str, screens: Path, truth: dict[str, str], number: int, pause: float
) -> pd.DataFrame:
    """Go the whole way, and see how many predictions are right."""
    journey = Journey(page, address.partition("?")[0], screens)
    with journey.step("open"):
        page.goto(address)
        page.wait_for_selector("#cells .cell img")
    with journey.step("choose cells"):
        journey.click("main a[href='/label']")
        page.wait_for_load_state()
        page.fill("#number", str(number))
        journey.press("Enter")
        page.wait_for_selector("#work:not([hidden]) #counts li", timeout=WAIT)
    keys = {
        one.get_attribute("data-name"): one.get_attribute("data-place")
        for one in page.locator("#classes button[data-place]").all()
    }
    with journey.step("label"):
        for place in range(number):
            name = page.inner_text("#name")
            time.sleep(pause)
            journey.press(str(keys[truth[name]]))
            if place + 1 < number:
                page.wait_for_function(
                    "name => document.getElementById('name').textContent !== name", arg=name
                )
        page.wait_for_function("() => document.getElementById('standing').textContent.includes('saved')")
    with journey.step("adapt"):
        journey.click("main a[href='/adapt']")
        journey.click("#adapt")
        page.wait_for_selector("#good", timeout=WAIT)
    with journey.step("results"):
        journey.click("main a[href='/results']")
        page.wait_for_selector("#cells .cell img")
    with journey.step("report"):
        journey.click("#report")
        page.wait_for_selector("a[href^='/report']", timeout=WAIT)
    with journey.step("save predictions and counts"):
        journey.take("a[href^='/export/counts.csv']")
        found = pd.read_csv(journey.take("a[href^='/export/predictions.csv']"))
    fresh = found[found["label"].isna()]
    names = [next(name for name in truth if path.endswith(name)) for path in fresh["path"]]
    right = (fresh["predicted"] == [truth[name] for name in names]).mean()
    total = pd.DataFrame(journey.rows)
    whole = {
        "step": "all",
        "seconds": total["seconds"].sum(),
        "keys_and_clicks": total["keys_and_clicks"].sum(),
    }
    return pd.concat([total, pd.DataFrame([{**whole, "right_without_label": right}])], ignore_index=True)


def main(given: Sequence[str] | None = None) -> None:
    """Start the app and a browser, go the way, write the times."""
    parser = command_line(__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of images without labels")
    parser.add_argument("--truth", type=Path, required=True, help="table: path below the folder, label")
    parser.add_argument("--screens", type=Path, required=True, help="folder for pictures of the screen")
    parser.add_argument("--labels", type=int, default=60, help="number of cells to label")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds that a person looks at a cell")
    parser.add_argument("--model", default="pooled", help="source model of the app: a name, or a folder")
    parser.add_argument("--name", default="journey", help="name of the table")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="environment of the app")
    parser.add_argument("--out", type=Path, default=RESULTS / "app", help="folder of the results")
    chosen = parser.parse_args(given)
    with chosen.truth.open(newline="", encoding="utf-8") as file:
        truth = {row["path"]: row["label"] for row in csv.DictReader(file)}
    for folder in (chosen.screens, chosen.out):
        folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    with served(app(chosen.python, chosen.images, chosen.model), ADDRESS) as address, window() as page:
        started = time.perf_counter() - begin
        table = travel(page, address, chosen.screens, truth, chosen.labels, chosen.pause)
    first = pd.DataFrame([{"step": "start", "seconds": started, "keys_and_clicks": 0}])
    table = pd.concat([first, table], ignore_index=True)
    table.loc[table["step"] == "all", "seconds"] += started
    write_table(table.round({"seconds": 1}), chosen.out / f"{chosen.name}.csv")


if __name__ == "__main__":
    command(main)
