"""Reads names, summaries and attributes of plug-ins from their source, without importing them."""

import ast
from contextlib import suppress
from pathlib import Path
from typing import Any

from cellda.errors import ConfigurationError


def registered_names(file: Path) -> list[str]:
    """Names under which the classes of a file are registered.

    Raises:
        ConfigurationError: If the file is not valid Python.
    """
    text = file.read_text(encoding="utf-8")
    if "register" not in text:
        return []
    return [name for node in _classes(_parsed(file)) for name in _names(node)]


def summary(file: Path, registered: str) -> str:
    """First docstring line of the class that a file registers under a name.

    Raises:
        ConfigurationError: If the file is not valid Python.
    """
    node = next((node for node in _classes(_parsed(file)) if registered in _names(node)), None)
    return "" if node is None else first_line(ast.get_docstring(node))


def class_summary(file: Path, cls: str) -> str | None:
    """First docstring line of the class with this name in a file; None if it is not defined there.

    Raises:
        ConfigurationError: If the file is not valid Python.
    """
    node = next((node for node in _classes(_parsed(file)) if node.name == cls), None)
    return None if node is None else first_line(ast.get_docstring(node))


def literals(file: Path, registered: str) -> dict[str, Any]:
    """The literal attributes of the class that a file registers under a name.

    Raises:
        ConfigurationError: If the file is not valid Python.
    """
    found = {}
    for node in _classes(_parsed(file)):
        for line in node.body if registered in _names(node) else ():
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                with suppress(ValueError):
                    found[line.targets[0].id] = ast.literal_eval(line.value)
    return found


def first_line(docstring: str | None) -> str:
    """The summary of a docstring."""
    return (docstring or "").strip().split("\n")[0]


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ConfigurationError(
            f"{file}, line {error.lineno}, is not valid Python ({error.msg}); fix that line."
        ) from error


def _classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def _names(node: ast.ClassDef) -> list[str]:
    """The names in `@register("...")`, `@adapters.register("...")` or `@register_adapter("...")` above a class."""
    return [
        str(call.args[0].value)
        for call in node.decorator_list
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).rpartition(".")[2].startswith("register")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    ]
