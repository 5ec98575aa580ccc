"""The package as an index shows it and as pip installs it: links, contents, and one command of each in a fresh environment."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from cellda import __version__
from cellda.source_models.cards import Card
from tiny import recipe as tiny

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
RAW = REPOSITORY.replace("github.com", "raw.githubusercontent.com") + "/main/"
PAGE = REPOSITORY + "/blob/main/"


def in_tree(url: str) -> Path | None:
    """The file that an address in the repository shows; None for other addresses."""
    for start in (RAW, PAGE):
        if url.startswith(start):
            return ROOT / url.removeprefix(start).partition("#")[0]
    return None


def anchors(page: Path) -> set[str]:
    """What headings of a Markdown page are called in addresses."""
    headings = re.findall(r"(?m)^#+ +(.+?) *$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


SHIPPED = {
    file.parent.name: Card.read(file.parent).weights
    for file in (ROOT / "src" / "cellda" / "source_models").glob("*/card.json")
}
"""Source models in the package, with the hashes of their weights."""


# --- what an index shows


README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESSES = sorted({*re.findall(r"\]\(([^)\s]+)\)", README), *re.findall(r"(?m)^\[[^\]]+\]: *(\S+)", README)})


def test_every_address_of_the_readme_is_whole():
    """An index shows the README alone: there, what is relative leads nowhere."""
    assert [address for address in ADDRESSES if not address.startswith("https://")] == []
    assert any(address.startswith(RAW) for address in ADDRESSES)


@pytest.mark.parametrize("address", [address for address in ADDRESSES if address.startswith((RAW, PAGE))])
def test_what_the_readme_leads_to_is_in_the_tree(address: str):
    page = in_tree(address)
    assert page is not None
    assert page.is_file()
    # A page of the host around a picture shows nothing inside a README.
    assert (page.suffix in {".png", ".svg"}) == address.startswith(RAW)
    _, _, anchor = address.partition("#")
    assert not anchor or anchor in anchors(page)


def test_every_reference_of_the_readme_is_defined():
    prose = re.sub(r"(?s)```.*?```", "", README)
    defined = {name.lower() for name in re.findall(r"(?m)^\[([^\]]+)\]:", README)}
    used = {(name or text).lower() for text, name in re.findall(r"\[([^\[\]]+)\]\[([^\]]*)\]", prose)}
    assert used == defined


def test_project_addresses_are_in_one_repository():
    addresses = PROJECT["urls"]
    assert addresses.keys() >= {"Homepage", "Documentation", "Repository", "Issues", "Changelog"}
    assert all(address.startswith(REPOSITORY) for address in addresses.values())
    pages = [page for page in map(in_tree, addresses.values()) if page is not None]
    assert len(pages) == 2
    assert all(page.is_file() for page in pages)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == REPOSITORY
    assert PROJECT["maintainers"] == [{"name": author["name"]} for author in citation["authors"]]


# --- what is installed


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    """The source distribution, and the wheel that is built from it, by suffix."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True, capture_output=True
    )
    return {file.suffix: file for file in folder.iterdir()}


def named_by_make() -> set[str]:
    """Files and folders of the tree that the Makefile, or a tool that it calls, names."""
    words = re.findall(r"[\w./-]+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    words += [*tools["mypy"]["files"], *tools["pytest"]["ini_options"]["testpaths"]]
    for page in (ROOT / "docs").rglob("*.md"):
        words += re.findall(r'--8<-- "([^"]+)"', page.read_text(encoding="utf-8"))
    return {
        word for word in words if word.strip("./") and not word.startswith("/") and (ROOT / word).exists()
    }


@pytest.mark.slow
def test_the_source_distribution_holds_what_make_names(built: dict[str, Path]):
    with tarfile.open(built[".gz"]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = named_by_make()
    assert {"examples/demo.py", "benchmarks/speed", "tests", "docs", "pyproject.toml"} <= wanted
    for name in wanted - {".venv"}:
        place = ROOT / name
        files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
        missing = {
            path
            for path in (file.relative_to(ROOT).as_posix() for file in files)
            if path not in held and not re.search(r"__pycache__|/\.|results/figures/|\.egg-info", path)
        }
        assert missing == set()


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built: dict[str, Path]):
    with zipfile.ZipFile(built[".whl"]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    files = [file for file in (source / "cellda").rglob("*") if file.is_file()]
    assert held == {file.relative_to(source).as_posix() for file in files if "__pycache__" not in file.parts}
    assert "cellda/py.typed" in held


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".whl", ".gz"])
def test_what_is_installed_in_a_fresh_environment_works(built: dict[str, Path], tmp_path: Path, suffix: str):
    place = tmp_path / "env"
    venv.create(place, with_pip=True)
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CELLDA_STORE")
    }

    def call(*command: str | Path) -> str:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    call(scripts / "python", "-m", "pip", "install", "--no-deps", built[suffix])
    own = call(scripts / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # The dependencies are those of the environment that runs the tests: PyTorch is not downloaded again.
    others = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (Path(own) / "dependencies.pth").write_text("\n".join(sorted(others)), encoding="utf-8")

    installed = (
        "import cellda, importlib.metadata as m, importlib.resources as r; "
        "print(r.files('cellda'), r.files('cellda').joinpath('py.typed').is_file(), m.version('cellda'))"
    )
    assert call(scripts / "python", "-c", installed).split() == [
        f"{Path(own) / 'cellda'}",
        "True",
        __version__,
    ]
    assert call(scripts / "cellda", "--version") == f"cellda {__version__}\n"
    listed = call(scripts / "cellda", "list").split()
    assert {"reinhard", "head_only", "raabin", "laptop", *SHIPPED} <= set(listed)
    for name in SHIPPED:
        load = f"import cellda.source_models as s; s.load('{name}'); print(s.card('{name}').weights)"
        assert call(scripts / "python", "-c", load).strip() == SHIPPED[name]
    (tmp_path / "tiny.yaml").write_text(tiny(few_shot={"n": 12}).to_yaml(), encoding="utf-8")
    said = call(
        scripts / "cellda",
        "run",
        "--recipe",
        "tiny.yaml",
        "--target",
        "synthetic/1",
        "--store",
        tmp_path / "store",
    )
    assert "12 target labels used" in " ".join(said.split())
