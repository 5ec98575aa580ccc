"""The whole way of a laboratory in a real browser: keys and clicks, a killed server, no violation of accessibility."""

import csv
import io
import zipfile

import pytest
import torch
from PIL import Image

from browser import App, chromium, free_port
from drawn import class_of, drawn
from tiny import model_folder

pytest.importorskip("sqlmodel", reason="the extra app is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")


KEYS = {
    "basophil": "1",
    "eosinophil": "2",
    "erythroblast": "3",
    "lymphocyte": "4",
    "monocyte": "5",
    "neutrophil": "6",
}
PHONE = {"width": 390, "height": 800}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as made:
        yield made.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])


@pytest.fixture
def app(tmp_path):
    drawn(tmp_path / "cells", 40, slides=4)
    made = App(tmp_path / "cells", model_folder(tmp_path / "model"), tmp_path / "log", free_port())
    yield made
    made.kill()


@pytest.fixture
def page(browser, app):
    context = browser.new_context(viewport=DESK, accept_downloads=True)
    made = context.new_page()
    made.problems = []
    made.on("pageerror", lambda error: made.problems.append(str(error)))
    made.on("console", lambda said: made.problems.append(said.text) if said.type == "error" else None)
    made.goto(app.address)
    yield made
    context.close()


def true_class(page) -> str:
    return class_of(page.inner_text("#name"))


def label(page, number: int) -> None:
    """Label so many cells by keyboard, as a person who sees them."""
    for _ in range(number):
        name = page.inner_text("#name")
        page.keyboard.press(KEYS[true_class(page)])
        page.wait_for_function("name => document.getElementById('name').textContent !== name", arg=name)


def saved(page, number: int) -> None:
    page.wait_for_function(
        "text => document.getElementById('standing').textContent.startsWith(text) && "
        "document.getElementById('standing').textContent.includes('saved')",
        arg=f"{number} of ",
    )


def accessible(page) -> None:
    """No violation on a desk and on a phone, in light and dark; nothing is wider than the window."""
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, (page.url, size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = axe.Axe().run(page)
            bad = [
                (one["id"], [node["html"] for node in one["nodes"]]) for one in found.response["violations"]
            ]
            assert bad == [], (page.url, size, scheme)
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")


@pytest.mark.slow
def test_a_laboratory_labels_adapts_corrects_and_reports(page, app):
    page.wait_for_selector("#cells .cell img")
    assert "40 images in 4 groups" in page.inner_text("main")
    accessible(page)

    page.goto(app.base + "label")
    page.fill("#number", "32")
    page.press("#number", "Enter")
    page.wait_for_selector("#work:not([hidden]) #counts li", timeout=120_000)
    label(page, 10)
    saved(page, 10)

    app.kill()  # in the middle of the work
    name = page.inner_text("#name")
    page.keyboard.press(KEYS[true_class(page)])  # nobody answers: it waits
    page.wait_for_selector("#problem:not([hidden])")
    assert "1 not saved yet" in page.inner_text("#problem")
    app.start()
    page.wait_for_function("() => document.getElementById('problem').hidden", timeout=60_000)
    saved(page, 11)
    page.reload()
    page.wait_for_selector("#counts li")
    saved(page, 11)
    assert page.inner_text("#name") != name  # goes on behind it
    page.problems.clear()

    label(page, 19)
    saved(page, 30)
    page.keyboard.press("z")
    saved(page, 29)
    page.keyboard.press("y")
    saved(page, 30)
    accessible(page)

    page.goto(app.base + "adapt")
    assert "30 labelled cells" in page.inner_text("main")
    page.click("#adapt")
    page.wait_for_selector("#job:not([hidden])")
    page.reload()  # the bar survives it
    page.wait_for_selector("#job:not([hidden])")
    page.wait_for_selector("#good", timeout=300_000)
    assert "of your labelled cells are recognised" in page.inner_text("main")
    accessible(page)

    page.goto(app.base + "results")
    page.wait_for_selector("#cells .cell")
    assert "40 of 40 cells" in page.inner_text("#standing")
    page.select_option("#f-label", "no")
    page.wait_for_function("() => document.getElementById('standing').textContent.startsWith('10 of')")
    page.focus("#cells")
    for key in "566":
        page.keyboard.press(key)
    page.wait_for_function("() => document.getElementById('changes').textContent.startsWith('3 ')")
    accessible(page)
    page.reload()
    page.select_option("#f-label", "no")
    page.wait_for_function("() => document.getElementById('standing').textContent.startsWith('7 of')")

    page.click("#report")
    page.wait_for_selector("a[href^='/report']", timeout=120_000)
    with page.context.expect_page() as opened:
        page.click("a[href^='/report']")
    opened.value.wait_for_load_state()
    assert "How many cells of each class" in opened.value.inner_text("body")
    opened.value.close()

    def taken(selector):
        with page.expect_download() as got:
            page.click(selector)
        return got.value.path().read_bytes()

    table = list(csv.DictReader(io.StringIO(taken("a[href^='/export/predictions.csv']").decode())))
    assert len(table) == 40
    assert sum(bool(row["label"]) for row in table) == 33
    assert "neutrophil" in taken("a[href^='/export/counts.csv']").decode()
    expert = zipfile.ZipFile(io.BytesIO(taken("a[href^='/export/doubtful.zip']")))
    listed = list(csv.DictReader(io.StringIO(expert.read("to_fill_in.csv").decode())))
    assert {f"images/{row['image']}" for row in listed} <= set(expert.namelist())
    assert len(listed) == 7
    model = zipfile.ZipFile(io.BytesIO(taken("a[href^='/export/model.zip']")))
    assert any(name.endswith("classifier.json") for name in model.namelist())

    page.goto(app.base + "label")
    filled = io.StringIO(newline="")
    rows = csv.DictWriter(filled, ["image", "label", "path"])
    rows.writeheader()
    rows.writerows({**row, "label": "monocyte"} for row in listed[:2])
    page.click("#exchange summary")
    page.set_input_files(
        "#table", {"name": "f.csv", "mimeType": "text/csv", "buffer": filled.getvalue().encode()}
    )
    page.click("#import-form button")
    page.wait_for_function("() => document.getElementById('import-state').textContent.startsWith('2 labels')")
    assert page.problems == []


def test_many_cells_are_labelled_at_once_in_the_grid(page, app):
    page.goto(app.base + "label")
    page.fill("#number", "20")
    page.press("#number", "Enter")
    page.wait_for_selector("#work:not([hidden]) #counts li", timeout=120_000)
    page.keyboard.press("Enter")
    page.wait_for_selector("#cells .cell")
    page.keyboard.press("Home")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("4")
    saved(page, 5)
    assert page.locator("#cells .cell.labelled").count() == 5
    page.keyboard.press("z")  # one action
    saved(page, 0)
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    page.keyboard.press("Numpad5")
    page.keyboard.press("n")
    page.keyboard.press("u")
    saved(page, 3)
    accessible(page)
    page.fill("#person", "ben")
    page.press("#person", "Enter")
    page.wait_for_function("() => document.getElementById('standing')?.textContent.startsWith('0 of')")
    page.keyboard.press("Enter")
    page.keyboard.press("Home")
    page.keyboard.press("4")
    saved(page, 1)
    page.goto(app.base + "agreement")
    assert "ben, me" in page.inner_text("main")
    [first] = page.locator("select[data-cell]").all()
    first.select_option("monocyte")
    page.wait_for_function("() => document.getElementById('open-state').textContent.includes('0 still open')")
    accessible(page)
    assert page.problems == []


@pytest.mark.slow
def test_ten_thousand_cells_stay_quick(browser, tmp_path):
    """Only those in view are in the page; none is missing after a jump to the end."""
    file = tmp_path / "one.png"
    Image.fromarray(torch.randint(0, 255, (24, 24, 3), dtype=torch.uint8).numpy()).save(file)
    content, folder = file.read_bytes(), tmp_path / "cells"
    folder.mkdir()
    for place in range(10_000):
        (folder / f"{place:05d}.png").write_bytes(content)
    app = App(folder, "pooled", tmp_path / "log", free_port())
    try:
        page = browser.new_context(viewport=DESK).new_page()
        page.goto(app.address)
        page.wait_for_selector("#cells .cell img")
        assert page.locator("#cells .cell").count() < 400
        page.focus("#cells")
        page.keyboard.press("End")
        page.wait_for_selector("#cell-9999")
        whole = "() => [...document.querySelectorAll('#cells .cell img')].every(one => one.complete && one.naturalWidth)"
        page.wait_for_function(whole, timeout=30_000)
        assert page.get_attribute("#cells", "aria-activedescendant") == "cell-9999"
    finally:
        app.kill()
