"""The house that `src/cellda` is built as: its rooms, their floors, and the imports that they allow.

test_house.py holds the code against it. `python tests/project/house.py` writes the rooms into docs/architecture.md and
prints every import that breaks a rule.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
DOCUMENT = ROOT / "docs" / "architecture.md"

FLOORS: tuple[dict[str, str], ...] = (
    {"text": "names as they are shown and stored"},
    {"errors": "the one exception family; near names", "html": "results in notebooks"},
    {
        "plugins": "registries, entry points, options, the base of all settings, the code behind a result",
        "runtime": "storage/ (the store, its locks, folder or bucket), versions, device, memory, progress, typed work, clock",
        "presets": "named edits of a recipe, as data",
    },
    {
        "taxonomies": "which classes are told apart, one file each; raw label -> class",
        "cluster": "work on other processes and machines: where, and the engine that runs a graph of tasks there",
        "tracking": "loggers of runs: TensorBoard, MLflow, Weights & Biases, one file each",
    },
    {
        "imaging": "pure functions on images: padding, colour spaces, augmentation, symmetries, nuclei",
        "evaluation": "stored predictions -> numbers: measures, intervals, significance",
    },
    {
        "framing": "which part of an image is shown, one file each",
        "normalizers": "colour normalization, one file each; shared bases in families/",
        "reporting": "numbers -> tables and figures; those of the paper in paper/",
    },
    {"datasets": "public datasets and the user's own, one file each; reading/, download/, rendering/"},
    {"data": "draws, the pixel cache, sets of images, checks of a dataset"},
    {"models": "encoder, 128-d embedding, heads/ (one file each), checkpoints, folding of frozen BatchNorm"},
    {
        "training": "the one training loop, its batches, objective and settings",
        "source_models": "trained source models that ship with cellda, a folder each: registry, cards, how recipes name them",
        "report": "a page, or PDF, of what a model did, for people who look at cells",
        "export": "files in which a classifier runs without cellda, one file a format",
    },
    {"adapters": "what is done with the target's cells, one file each; shared bases in families/"},
    {
        "selection": "hyper-parameter search within the support set, selectors, folds",
        "suggestion": "which cells to label next: suggesters, one file each; the list to label",
    },
    {
        "recipe": "what is composed: frozen, typed, serialisable data",
        "plugin": "all that the author of a plug-in imports",
    },
    {
        "experiment": "how it runs: the stages in order, their keys, results, studies of many runs, leaderboard"
    },
    {"__init__": "the public names; imports nothing heavy"},
    {"app": "the laboratory's screen in a browser: project/ (what is stored), work/ (jobs), pages/"},
    {"cli": "the command line: a thin layer over the same calls"},
    {"__main__": "python -m cellda"},
)
"""Rooms from the ground up, with what each is for. A room imports from the floors below its own only."""

HEIGHT = {name: number for number, floor in enumerate(FLOORS, start=1) for name in floor}

FOR_TYPES = "TYPE_CHECKING"
NAMED = "named"
DOORS = frozenset(
    [("cellda.recipe", place, "experiment") for place in ("run", "adapt", FOR_TYPES)]
    + [("cellda.experiment.result", "report", "experiment")]
)
"""Who may look up, where, and at which room: `Recipe.run`, `Recipe.adapt`, the types in their signatures, and
`RunResult.report`, whose report is gathered from results."""


@dataclass(frozen=True)
class Arrow:
    """One import of one module of the package by another.

    Attributes:
        source: Dotted name of the module that imports.
        target: Dotted name of the module that is imported.
        line: Line of the import.
        place: The innermost function around it, `TYPE_CHECKING`, `named` for the module of a class that a string names, or
            empty at the top of the module.
    """

    source: str
    target: str
    line: int
    place: str = ""

    @property
    def is_door(self) -> bool:
        """Whether it is one of the few imports that may look up."""
        return (self.source, self.place, room(self.target)) in DOORS

    @property
    def is_up(self) -> bool:
        """Whether it leads to another room that is not on a floor below."""
        rooms = room(self.source), room(self.target)
        return rooms[0] != rooms[1] and HEIGHT[rooms[1]] >= HEIGHT[rooms[0]]

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}" + (f" ({self.place})" if self.place else "")


def modules(source: Path = SOURCE, package: str = "cellda") -> dict[str, Path]:
    """Dotted name -> file of every module of a package."""
    named = {}
    for file in sorted((source / package).rglob("*.py")):
        parts = file.relative_to(source).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return named


def room(module: str) -> str:
    """The room of a module: the first name below the package."""
    _, _, below = module.partition(".")
    return below.partition(".")[0] or "__init__"


def arrows(files: dict[str, Path]) -> list[Arrow]:
    """Every import of one of these modules by another, wherever in the file it stands.

    A string `"module:Class"`, such as the base class of a registry, counts as an import of the module.
    """
    trees = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in files.items()}
    found = {
        Arrow(name, target, node.lineno, place)
        for name, file in files.items()
        for node, place in _imports(trees[name])
        for target in _targets(node, name if file.name == "__init__.py" else name.rpartition(".")[0], files)
        if target != name
    } | {
        Arrow(name, target, line, NAMED)
        for name, tree in trees.items()
        for target, line in _named(tree)
        if target in files and target != name
    }
    return sorted(found, key=lambda arrow: (arrow.source, arrow.line, arrow.target))


def upward(found: Iterable[Arrow]) -> list[Arrow]:
    """Imports that look up, apart from the doors."""
    return [arrow for arrow in found if arrow.is_up and not arrow.is_door]


def circles(found: Iterable[Arrow], files: dict[str, Path]) -> list[list[str]]:
    """Groups of modules that import one another in a circle.

    Two kinds of import do not count: the doors, and what the face of a package (its `__init__`) imports when asked for a name.
    """
    onward: dict[str, set[str]] = {name: set() for name in files}
    for arrow in found:
        lazy_face = files[arrow.source].name == "__init__.py" and arrow.place
        if not lazy_face and not arrow.is_door:
            onward[arrow.source].add(arrow.target)
    reached = {name: _reached(name, onward) for name in files}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in files
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def drawing() -> str:
    """The rooms as docs/architecture.md shows them, from the top floor down."""
    rooms = [(name, purpose) for floor in reversed(FLOORS) for name, purpose in floor.items()]
    return "\n".join(f"{HEIGHT[name]:>2}  {name:<13} {purpose}" for name, purpose in rooms)


def drawn(document: str) -> str:
    """The drawing that stands in a document.

    Raises:
        ValueError: If the document has no place for one.
    """
    return _parts(document)[1]


def redrawn(document: str) -> str:
    """The document with the drawing that the data gives."""
    before, _, after = _parts(document)
    return before + drawing() + after


_OPENING = "<!-- rooms: written by python tests/project/house.py -->\n```text\n"
_CLOSING = "\n```\n<!-- end of rooms -->"


def _parts(document: str) -> tuple[str, str, str]:
    start = document.index(_OPENING) + len(_OPENING)
    end = document.index(_CLOSING, start)
    return document[:start], document[start:end], document[end:]


def _imports(tree: ast.AST, place: str = "") -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, place
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imports(node, node.name)
        elif isinstance(node, ast.If) and FOR_TYPES in ast.unparse(node.test):
            yield from _imports(node, FOR_TYPES)
        else:
            yield from _imports(node, place)


def _named(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            module, colon, name = node.value.partition(":")
            if colon and name.isidentifier():
                yield module, node.lineno


def _targets(node: ast.Import | ast.ImportFrom, package: str, files: dict[str, Path]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name in files]
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        base = ".".join([*parents[: len(parents) + 1 - node.level], *filter(None, [node.module])])
    if base not in files:
        return []
    return [f"{base}.{alias.name}" if f"{base}.{alias.name}" in files else base for alias in node.names]


def _reached(name: str, onward: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = list(onward[name])
    while ahead:
        if (module := ahead.pop()) not in seen:
            seen.add(module)
            ahead.extend(onward[module])
    return seen


if __name__ == "__main__":
    DOCUMENT.write_text(redrawn(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    files = modules()
    found = arrows(files)
    for arrow in upward(found):
        print("up:", arrow)
    for circle in circles(found, files):
        print("circle:", ", ".join(circle))
