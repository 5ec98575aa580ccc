"""Only taxonomies, loaders and renderers know which classes there are; nothing knows how many."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellda.plugins.code_digest import PACKAGE
from cellda.taxonomies import create, names

KNOWING = ("taxonomies", "datasets", "reporting/paper", "reporting/tables/conditions.py")
"""What names types of cells: what they are called, what a dataset publishes, what is rendered, what the paper prints, and the
class that coincides with the groups of Raabin."""

NUMBERS = {"classes", "num_classes", "minlength"}
KINDS = {kind for name in names() if not create(name).open for kind in create(name).classes}


def files() -> list[Path]:
    return [
        file
        for file in sorted(PACKAGE.rglob("*.py"))
        if not file.relative_to(PACKAGE).as_posix().startswith(KNOWING)
    ]


def found(tree: ast.AST) -> Iterator[str]:
    """What in the code of a file knows classes by name or number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in KINDS:
            yield f"line {node.lineno}: the class '{node.value}'"
        if (
            isinstance(node, ast.keyword)
            and node.arg in NUMBERS
            and isinstance(node.value, ast.Constant)
            and node.value.value
        ):
            yield f"line {node.value.lineno}: {node.arg}={node.value.value}"
        if (
            isinstance(node, ast.Name | ast.Attribute)
            and getattr(node, "id", getattr(node, "attr", "")) == "CLASSES"
        ):
            yield f"line {node.lineno}: CLASSES"
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
            shapes = [one.value for one in node.slice.elts if isinstance(one, ast.Constant)]
            yield from (
                f"line {node.lineno}: a shape {one!r}" for one in shapes if str(one).split()[-1:] == ["6"]
            )


@pytest.mark.parametrize("file", files(), ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_no_module_knows_the_classes(file: Path) -> None:
    assert list(found(ast.parse(file.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    ['x = "neutrophil"', "bincount(y, minlength=6)", "len(CLASSES)", 'def f(x: Float[Tensor, "n 6"]): ...'],
)
def test_the_test_would_notice(code: str) -> None:
    assert len(list(found(ast.parse(code)))) == 1
