"""The job of `benchmarks.speed.app` with other tools: label cells in Label Studio, train and predict with fastai.

    python -m benchmarks.speed.app_peers --images cells --truth truth.csv --label-studio PROGRAM --screens screens

Label Studio is a program of an environment of its own (`pip install label-studio`); it is driven by keys and clicks, as the
app is: make a project, upload the images, set the classes, label `--labels` cells after `--pause` seconds each, in random
order (it cannot say which cells are worth it), save the table. It is for labels only: what comes after is a script with fastai
(`benchmarks.speed.plain_fastai`), which fine-tunes an ImageNet network on these labels. Writes
`benchmarks/results/app/peers.csv` as `journey.csv`, with the lines of code that a person writes.
"""

import csv
import inspect
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.common.browser import served, window
from benchmarks.common.options import command, command_line
from benchmarks.common.results import RESULTS, write_table
from benchmarks.speed import plain_fastai
from benchmarks.speed.app import Journey

if TYPE_CHECKING:
    from playwright.sync_api import Page

ADDRESS = "http://localhost:8080/"
UPLOAD = 100
"""Files that Label Studio takes at once: it refuses more."""
USER, PASSWORD = "lab@example.org", "cells1234"
NEXT = re.compile(r"/api/dm/actions.*id=next_task")
SAVED = re.compile(r"/api/tasks/\d+/annotations")
SHOWN = "img.lsf-image, .lsf-image img"


def project(journey: "Peer", page: "Page", files: Sequence[Path], classes: Sequence[str]) -> None:
    """Make a project of these images and classes."""
    with journey.step("sign in"):
        page.goto(f"{ADDRESS}user/login/")
        page.fill("input[name=email]", USER)
        page.fill("input[name=password]", PASSWORD)
        journey.press("Enter")
        page.wait_for_selector("button:has-text('Create Project')")
    with journey.step("set classes"):
        journey.click("button:has-text('Create Project') >> nth=-1")
        page.fill("input[name=name]", "cells")
        journey.click("text=Labeling Setup")
        journey.click("text='Image Classification'")
        page.wait_for_selector("text=Add choices")
        while page.locator("li.lsf-configure__label_choice").count():
            page.hover("li.lsf-configure__label_choice")
            journey.click("li.lsf-configure__label_choice button")
        page.fill("textarea", "\n".join(classes))
        journey.click("button:visible:has(:text-is('Add'))")
        page.wait_for_selector(f"text=Choices ({len(classes)})")
    with journey.step("upload images"):
        journey.click("text=Data Import")
        for begin in range(0, len(files), UPLOAD):
            some = [str(file) for file in files[begin : begin + UPLOAD]]
            page.set_input_files("input[type=file]", some)
            journey.clicked(3)  # upload, choose the files, open
            page.wait_for_selector(f"text={begin + len(some)} files uploaded")
        page.dispatch_event(
            "button:visible:has(:text-is('Save'))", "click"
        )  # a long list lies over it at times
        journey.clicked(1)
        page.wait_for_selector("button:has-text('Label All Tasks')")


def label(journey: "Peer", page: "Page", truth: dict[str, str], classes: Sequence[str], pause: float) -> None:
    """Label the cells that are shown, one after the other."""
    for place in range(journey.number):
        with page.expect_response(NEXT) as told:
            journey.press("Control+Enter") if place else journey.click("button:has-text('Label All Tasks')")
        name = own_name(told.value.json()["data"]["image"])
        page.wait_for_selector(SHOWN)
        time.sleep(pause)
        journey.press(str(1 + classes.index(truth[name])))
    with page.expect_response(SAVED):
        journey.press("Control+Enter")


def own_name(path: str) -> str:
    """The name that a file had before Label Studio put a number in front of it and forgot its folder."""
    return re.sub(r"^[0-9a-f]{8}-", "", path.rpartition("/")[2])


class Peer(Journey):
    """A journey with a number of cells to label."""

    number = 60

    def clicked(self, times: int) -> None:
        """Clicks outside the page, in a window of the system."""
        self._actions += times


def labelled(journey: Peer, page: "Page", chosen: Any, truth: dict[str, str]) -> dict[str, str]:
    """The labels that a person gives in Label Studio, as its table says them: file name to class."""
    files = sorted(file for file in chosen.images.rglob("*") if file.is_file())
    classes = sorted(set(truth.values()))
    project(journey, page, files, classes)
    with journey.step("random order"):
        journey.click("text='Settings'")
        journey.click("text=Random sampling")
        journey.click("button:visible:has(:text-is('Save'))")
        page.wait_for_selector("text=Saved!")
        journey.click("text='cells'")
        page.wait_for_selector("button:has-text('Label All Tasks')")
    with journey.step("label"):
        label(journey, page, truth, classes, chosen.pause)
    with journey.step("save labels"):
        page.goto(page.url.partition("/data")[0] + "/data")
        journey.click("button:visible:has(:text-is('Export'))")
        journey.click("text='CSV'")
        with page.expect_download() as got:
            journey.click("button:visible:has(:text-is('Export')) >> nth=-1")
        table = pd.read_csv(got.value.path())
    return dict(zip(map(own_name, table["image"]), table["choice"], strict=True))


def fastai(files: dict[str, Path], labels: dict[str, str], truth: dict[str, str]) -> list[dict[str, Any]]:
    """Train on the labels, predict the others, and see how many are right."""
    begin = time.perf_counter()
    learner = plain_fastai.learner_of([files[name] for name in labels], list(labels.values()))
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(plain_fastai.EPOCHS)
        trained = time.perf_counter()
        others = [name for name in files if name not in labels]
        probabilities, _ = learner.get_preds(dl=learner.dls.test_dl([files[name] for name in others]))
    found = [learner.dls.vocab[index] for index in probabilities.argmax(1).tolist()]
    right = sum(truth[name] == one for name, one in zip(others, found, strict=True)) / len(others)
    code = inspect.getsource(plain_fastai.learner_of) + inspect.getsource(plain_fastai.train)
    lines = sum(1 for line in code.splitlines() if line.strip() and '"""' not in line)
    return [
        {"step": "train with fastai", "seconds": trained - begin, "lines_of_code": lines},
        {
            "step": "predict with fastai",
            "seconds": time.perf_counter() - trained,
            "right_without_label": right,
        },
    ]


def main(given: Sequence[str] | None = None) -> None:
    """Start Label Studio and a browser, go the way, write the times."""
    parser = command_line(__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of images without labels")
    parser.add_argument("--truth", type=Path, required=True, help="table: path below the folder, label")
    parser.add_argument("--label-studio", type=Path, required=True, help="the program `label-studio`")
    parser.add_argument("--screens", type=Path, required=True, help="folder for pictures of the screen")
    parser.add_argument("--labels", type=int, default=60, help="number of cells to label")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds that a person looks at a cell")
    parser.add_argument("--out", type=Path, default=RESULTS / "app", help="folder of the results")
    chosen = parser.parse_args(given)
    with chosen.truth.open(newline="", encoding="utf-8") as file:
        truth = {Path(row["path"]).name: row["label"] for row in csv.DictReader(file)}
    for folder in (chosen.screens, chosen.out):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        os.environ["LABEL_STUDIO_BASE_DATA_DIR"] = place
        words = [chosen.label_studio, "start", "--no-browser", "--username", USER, "--password", PASSWORD]
        begin = time.perf_counter()
        with served(words, r"(Quit the server)"), window() as page:
            started = time.perf_counter() - begin
            journey = Peer(page, ADDRESS, chosen.screens)
            journey.number = chosen.labels
            labels = labelled(journey, page, chosen, truth)
    files = {file.name: file for file in sorted(chosen.images.rglob("*")) if file.is_file()}
    rows = [{"step": "start", "seconds": started}, *journey.rows, *fastai(files, labels, truth)]
    table = pd.DataFrame(rows)
    whole = {"step": "all", **table[["seconds", "keys_and_clicks", "lines_of_code"]].sum()}
    table = pd.concat([table, pd.DataFrame([whole])], ignore_index=True)
    write_table(table.round({"seconds": 1}), chosen.out / "peers.csv")


if __name__ == "__main__":
    command(main)
