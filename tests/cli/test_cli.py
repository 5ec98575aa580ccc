"""The command line as a new user meets it: in a terminal of 80 columns, with typing errors and broken files."""

import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from rich.progress import Progress

import cellda.datasets
from cellda import CellClassifier, Recipe, RunResult, adapters, cli, datasets, framing, normalizers, presets
from cellda.evaluation.predictions import read_predictions
from cellda.experiment.estimate import estimate
from cellda.models import heads
from cellda.reporting.catalogue import FIGURES, TABLES
from cellda.runtime import progress
from cellda.runtime.clock import Clock
from cellda.runtime.work import Stage, Work
from cellda.selection import selectors
from cellda.suggestion import suggesters
from cellda.training.loop import Trainer
from said import WIDTH, text
from tiny import prepared
from tiny import recipe as tiny


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Seven drawn cells a class, as files: somebody's own images."""
    root = tmp_path_factory.mktemp("drawn")
    dataset = cellda.datasets.load("synthetic/3", per_class=7)
    for path, pixels in zip(dataset.table["path"], dataset.read(range(len(dataset)), 48), strict=True):
        file = root / f"{path}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file)
    return root


@pytest.fixture
def cells(drawn: Path, tmp_path: Path) -> Path:
    """The same in a folder that a test may spoil."""
    return shutil.copytree(drawn, tmp_path / "my_cells")


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(tiny(few_shot={"n": 12}).to_yaml(), encoding="utf-8")
    return file


# --- help and lists


def test_help_names_the_commands(cellda_):
    for arguments in (["--help"], []):
        said = cellda_(*arguments)
        shown = said.out + said.err
        assert all(
            f" {command} " in shown
            for command in ("run", "adapt", "predict", "ablate", "table", "figure", "list", "datasets")
        )
    assert cellda_("--help").status == 0
    assert all(
        option in cellda_("run", "--help").out for option in ("--target", "--data", "--preset", "--save")
    )


def test_help_and_lists_import_no_torch():
    code = (
        "import sys\n"
        "from cellda.cli import main\n"
        "for arguments in (['--help'], ['run', '--help'], ['list'], ['datasets']):\n"
        "    sys.argv = ['cellda', *arguments]\n"
        "    try:\n        main()\n"
        "    except SystemExit as stopped:\n        assert not stopped.code, arguments\n"
        "loaded = {'torch', 'timm', 'kornia', 'pandas', 'sklearn', 'optuna'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_list_shows_every_plugin_and_preset_in_plain_words(cellda_):
    said = cellda_("list")
    assert said.status == 0
    known = [
        *normalizers.names(),
        *framing.names(),
        *adapters.names(),
        *heads.names(),
        *selectors.names(),
        *suggesters.names(),
        *datasets.names(),
        *presets.names(),
        *TABLES,
        *FIGURES,
    ]
    first_words = [line.split()[0] for line in said.out.splitlines() if line.strip()]
    assert all(name in first_words for name in known)
    assert "Two cores, offline: tf_efficientnet_lite0" in text(said.out)
    assert "clipped to [0, 1]." in said.out  # brackets are no markup
    assert not re.search(r"[{}]|None", said.out)
    assert max(map(len, said.out.splitlines())) <= WIDTH


@pytest.mark.parametrize(
    "kind",
    [
        "normalizers",
        "framing",
        "adapters",
        "heads",
        "selectors",
        "suggesters",
        "datasets",
        "presets",
        "tables",
        "figures",
    ],
)
def test_list_of_one_kind(cellda_, kind: str):
    said = cellda_("list", kind)
    assert said.out.split()[0] == kind
    assert ("head_only" in said.out) == (kind in ("adapters", "presets"))


# --- datasets


def test_the_data_cards(cellda_):
    said = cellda_("datasets")
    assert said.status == 0
    first_words = [line.split()[0] for line in said.out.splitlines() if line.strip()]
    assert all(name in first_words for name in datasets.names())
    assert max(map(len, said.out.splitlines())) <= WIDTH


def test_one_data_card_with_counts(cellda_, drawn: Path):
    said = cellda_("datasets", "show", "tianjin")
    assert said.status == 0
    assert "Nikon DS-Ri2" in said.out
    assert "4,100" in said.out
    counted = cellda_("datasets", "show", "folder", drawn)
    assert ["monocyte", "7"] in [line.replace("│", " ").split() for line in counted.out.splitlines()]
    wrong = cellda_("datasets", "show", "lisc", drawn)
    assert wrong.status == 2
    assert "looked for Main Dataset" in wrong.err
    assert "no published layout known here" in text(cellda_("datasets", "show", "ruijin").err)


# --- datasets check


def test_check_of_a_sound_folder(cellda_, drawn: Path):
    said = cellda_("datasets", "check", "folder", drawn)
    assert said.status == 0
    assert "ready to use" in said.out
    assert re.search(r"neutrophil\W+7", said.out)
    assert said.err == ""  # no bar where nobody watches


def test_check_of_a_broken_image(cellda_, cells: Path):
    (cells / "monocyte" / "00002.png").write_bytes(b"broken")
    said = cellda_("datasets", "check", "folder", cells)
    assert said.status == 1
    assert "monocyte/00002.png: it is not an image of a known format" in text(said.out)
    assert "not usable as it is" in said.out


def test_check_of_unknown_labels(cellda_, cells: Path):
    (cells / "neutrophil").rename(cells / "nuetrophil")
    (cells / "basophil").rename(cells / "zzz")
    said = cellda_("datasets", "check", "folder", cells)
    assert said.status == 1
    assert "'nuetrophil'" in said.out
    assert "did you mean 'neutrophil'" in text(said.out)
    assert "'zzz'" in said.out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["foldr", "x"], 2, "There is no dataset 'foldr'; did you mean 'folder'?"),
        (["folder"], 2, "give their path, as in `cellda datasets check folder PATH`"),
        (["synthetic/99"], 2, "There is no dataset 'synthetic/99'"),
        (["folder", "no/such/place"], 1, "The folder no/such/place does not exist."),
    ],
)
def test_check_of_what_is_not_there(cellda_, arguments: list[str], status: int, message: str):
    said = cellda_("datasets", "check", *arguments)
    assert said.status == status
    assert message in text(said.out + said.err)


# --- run and ablate


def test_run_from_end_to_end(cellda_, drawn: Path, recipe_file: Path, tmp_path: Path):
    saved = tmp_path / "saved"
    arguments = ["run", "--recipe", recipe_file, "--target", f"folder={drawn}", "--draw", 1, "--save", saved]
    said = cellda_(*arguments)
    assert said.status == 0
    assert f"our_workflow on folder/{drawn.name}, draw 1, protocol clean" in text(said.out)
    assert "12 target labels used; 30 query images" in said.out
    assert "accuracy" in said.out
    assert f"Saved in {saved}: record.json, predictions.parquet, model/" in said.out
    assert "Estimated time on this machine (cpu" in text(said.err)

    result = RunResult.load(saved)
    assert result.recipe == tiny(few_shot={"n": 12, "draw": 1})
    assert len(result.predictions) == 30
    hint = re.search(r"cellda predict (.*) IMAGES", said.out)
    assert hint is not None
    classifier = CellClassifier.load(hint[1])
    assert len(classifier.predict([drawn / "monocyte" / "00000.png"]).labels) == 1

    again = cellda_(*arguments)
    assert again.status == 0
    assert again.out == said.out
    assert again.err == ""  # found in the store, so nothing to estimate


def test_options_edit_the_recipe(cellda_, drawn: Path, recipe_file: Path, monkeypatch):
    chosen: list[Recipe] = []

    def stop(self: Recipe, *_: Any, **__: Any) -> None:
        chosen.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Recipe, "run", stop)
    cellda_(
        "run",
        "--target",
        "synthetic/1",
        "--preset",
        "laptop",
        "--preset",
        "head_only",
        "--source",
        "barcelona",
    )
    assert chosen[-1] == Recipe(sources="barcelona").with_preset("laptop", "head_only")
    options = [
        "--adapter",
        "none",
        "--n",
        24,
        "--draw",
        2,
        "--protocol",
        "paper",
        "--pool",
        "disjoint",
        "--seed",
        3,
    ]
    options += ["--set", "training.lr=1e-5", "--set", "few_shot.draw=5"]
    cellda_("run", "--target", "synthetic/1", "--recipe", recipe_file, *options)
    edits = {
        "adapter": "none",
        "few_shot": {"n": 24, "draw": 5},
        "protocol": "paper",
        "pool": "disjoint",
        "seed": 3,
    }
    edits["training"] = {"lr": 1e-5}
    assert chosen[-1] == tiny().with_(**edits)


def test_ablate_two_conditions(cellda_, drawn: Path, recipe_file: Path, tmp_path: Path):
    file = tmp_path / "tables" / "two.parquet"
    arguments = ["ablate", "--recipe", recipe_file, "--target", f"folder={drawn}", "--save", file]
    said = cellda_(*arguments, "--condition", "our_workflow", "--condition", "no_fine_tune", "--draws", 2)
    assert said.status == 0
    assert "our_workflow" in said.out
    assert "no_fine_tune" in said.out
    assert "Mean over 2 draws" in text(said.out)
    assert f"Saved 120 predictions in {file}" in said.out
    table = read_predictions(file)
    runs = table.groupby(["condition", "draw"]).size()
    assert runs.to_dict() == {
        (name, draw): 30 for name in ("our_workflow", "no_fine_tune") for draw in (0, 1)
    }


# --- errors of the user's: a sentence on standard error, status 2


def test_a_target_whose_folder_is_not_known(cellda_):
    said = cellda_("run", "--target", "raabin")
    assert said.status == 2
    assert said.out == ""
    assert "say where with data=<folder that holds 'raabin/'> (--data on the command" in text(said.err)


def test_all_wrong_settings_are_listed_at_once(cellda_):
    wrong = ["protocol=papr", "few_shot.n=0", "adapter=hed_only"]
    said = cellda_("run", "--target", "raabin", *[part for one in wrong for part in ("--set", one)])
    assert said.status == 2
    for part in ("'few_shot.n'", "'protocol'", "did you mean 'head_only'"):
        assert part in said.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"adaptr: full\nseed: x\n", r"(?s)wrong\.yaml: .*'seed'.*did you mean 'adapter'"),
        (b"\x89PNG\r\n\x1a\n", r"wrong\.yaml cannot be read as YAML"),
        (b"a: [1", r"wrong\.yaml is not YAML in line 1"),
        (b"", r"wrong\.yaml does not hold a mapping"),
    ],
)
def test_a_wrong_recipe_file(cellda_, tmp_path: Path, content: bytes, message: str):
    (tmp_path / "wrong.yaml").write_bytes(content)
    said = cellda_("run", "--target", "synthetic/1", "--recipe", tmp_path / "wrong.yaml")
    assert said.status == 2
    assert re.search(message, said.err)


def test_broken_images_of_the_target_are_listed_before_training(cellda_, cells: Path, recipe_file: Path):
    for name in ("monocyte/00002.png", "basophil/00001.png"):
        (cells / name).write_bytes(b"broken")
    said = cellda_("run", "--recipe", recipe_file, "--target", f"folder={cells}")
    assert said.status == 2
    assert "monocyte/00002.png: it is not an image" in said.err
    assert "basophil/00001.png: it is not an image" in said.err


def test_places_to_save_are_checked_first(cellda_, tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert "is a file" in text(cellda_("run", "--target", "raabin", "--save", tmp_path / "file").err)
    assert "is a folder" in text(cellda_("ablate", "--target", "raabin", "--save", tmp_path).err)


def test_an_interruption_says_what_is_kept(cellda_, monkeypatch):
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recipe, "run", interrupted)
    said = cellda_("run", "--target", "synthetic/1")
    assert said.status == 130
    assert text(said.err) == "Interrupted. Finished stages are kept; the same command continues from there. "


# --- while waiting


def test_the_estimate_names_device_rate_and_what_is_left(tmp_path: Path):
    trainer = Trainer("cpu")
    before = torch.random.get_rng_state()
    case = prepared(tiny(training={"epochs": 90000}), tmp_path)
    said = estimate([case], trainer)
    assert re.match(r"Estimated time on this machine \(cpu, \d+ images/s in training at 32 px\): ", said)
    assert re.search(r"source training \d+(\.\d h| min| s)", said)
    assert torch.equal(torch.random.get_rng_state(), before)
    # Two recipes that share their source model train it once: the estimate is not twice as long.
    short = [prepared(tiny(adapter={"name": name}), tmp_path) for name in ("none", "head_only")]
    assert "search" not in estimate(short, trainer)


def test_a_finished_run_has_nothing_to_estimate_unless_its_model_is_wanted(tmp_path: Path, capsys):
    chosen = tiny(adapter={"name": "head_only", "epochs": 1})
    case = prepared(chosen, tmp_path)
    chosen.run(case.target, store=tmp_path, keep_model=False)
    assert "Estimated time" in capsys.readouterr().err
    chosen.run(case.target, store=tmp_path, keep_model=False)
    assert "Estimated time" not in capsys.readouterr().err
    chosen.run(case.target, store=tmp_path, keep_model=True)
    assert "Estimated time" in capsys.readouterr().err


def test_bars_are_shown_only_to_those_who_watch(monkeypatch, capsys):
    shown: list[int] = []
    monkeypatch.setattr(Progress, "start", lambda self: shown.append(1))
    with progress.display(), progress.task(Work(Stage.TRAIN), 3) as advance:
        advance(2)
    assert shown == []
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    with progress.display(), progress.display(), progress.task(Work(Stage.TRAIN), 3) as advance:
        advance(2)
    assert shown == [1]
    with progress.display(enabled=False), progress.task(Work(Stage.TRAIN), 3) as advance:
        advance(2)
    assert shown == [1]


def test_the_clock_adds_up_by_stage(monkeypatch):
    ticks = iter([0.0, 1.5, 2.0, 2.25, 10.0, 14.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    clock = Clock()
    with clock.stage("train"):
        pass
    with clock.stage("predict"):
        pass
    with pytest.raises(ValueError, match="x"), clock.stage("train"):
        raise ValueError("x")
    assert clock.seconds == {"train": 5.5, "predict": 0.25}


def test_the_installed_command_is_this_one():
    (command,) = entry_points(group="console_scripts", name="cellda")
    assert command.load() is cli.main


# --- tables and figures -----------------------------------------------------------------------------------------

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "first_light"


def test_table_prints_beside_the_paper_and_writes_csv(cellda_, tmp_path: Path):
    arguments = ["table", "paper_targets", RESULTS, "--target", "bccd", "--condition", "our_workflow"]
    said = cellda_(*arguments, "--markdown", "--csv", tmp_path / "new" / "table.csv")
    assert said.status == 0
    row = next(line for line in said.out.splitlines() if line.startswith("| our_workflow"))
    # The numbers of benchmarks/results/first_light/scores.csv and of the paper's Table C.1.
    scores = [line.split(",") for line in (RESULTS / "scores.csv").read_text().splitlines()]
    column = scores[0].index("accuracy")
    values = [float(line[column]) for line in scores if line[:2] == ["our_workflow", "bccd"]]
    mean, sd = map(float, row.split(" | ")[2].split(" ±"))
    assert (mean, sd) == pytest.approx((sum(values) / 3, torch.tensor(values).std().item()), abs=1e-3)
    assert row.split(" | ")[3] == "0.81"
    written = (tmp_path / "new" / "table.csv").read_text().splitlines()
    assert written[0].startswith("condition,target,accuracy: ours")
    assert len(written) == 2


def test_figure_is_written(cellda_, tmp_path: Path):
    file = tmp_path / "figure.png"
    arguments = ["figure", "accuracy", RESULTS, "--target", "jiangxi_tecom", "--out", file]
    assert cellda_(*arguments).status == 0
    with Image.open(file) as image:
        assert min(image.size) > 300


NO_GROUPS = "jiangxi_tecom, jin_woo_choi: no groups: images of one patient may be on both sides"


def test_tables_and_figures_name_the_targets_without_groups(cellda_, tmp_path: Path):
    some = [RESULTS, "--condition", "our_workflow"]
    assert f"- {NO_GROUPS}" in cellda_("table", "conditions", *some, "--markdown").out.splitlines()
    assert NO_GROUPS in text(cellda_("figure", "bars", *some, "--out", tmp_path / "figure.png").out)
    assert "no groups" not in cellda_("table", "conditions", *some, "--target", "raabin").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table", "summary", Path(__file__).parent], "No predictions to read"),
        (
            ["table", "summary", RESULTS, "--target", "bcd"],
            "no predictions of target 'bcd'; did you mean 'bccd'",
        ),
    ],
)
def test_what_a_table_cannot_be_made_of_is_said(cellda_, arguments: list[str], message: str):
    said = cellda_(*arguments)
    assert said.status == 2
    assert message in said.err
