"""The code that results of a plug-in depend on, as a hash: its own file and the helpers that it imports."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_FOREIGN = {"abc", "builtins", "pydantic", "torch", "typing"}
"""Packages whose classes plug-ins derive from and whose code is pinned by their versions."""

_COMPUTING = tuple(
    f"cellda.{part}." for part in ("adapters", "framing", "imaging", "models", "normalizers", "training")
)
"""Where cellda computes what a plug-in makes of images."""


@cache
def source_digest(cls: type) -> str:
    """Hash of the code of a plug-in: what it derives from, and all that these files import, directly or not.

    Results depend on that code as on the options: an edited method or helper must not find the results of the one before.
    Imports are read from the source and none is executed; those inside functions count, those for type checkers do not. They
    are followed into the modules of cellda that compute (adapters, framing, models, normalizers, training) and, for a plug-in
    of another package, into that package. The rest (errors, settings, progress, how datasets are read) does not count: it
    changes no result, or is covered by the fingerprints of the images. Nor do comments, docstrings and layout. A class that
    lives in no file (a notebook's) is told by its compiled functions.

    The code is read once: what a process has loaded is what it runs.
    """
    hashed = hashlib.sha256()
    waiting = []
    for base in cls.__mro__:
        if base.__module__.split(".")[0] in _FOREIGN:
            continue
        if _file_of(base.__module__) is not None:
            waiting.append(base.__module__)
            continue
        for name, member in sorted(vars(base).items()):
            code = getattr(getattr(member, "__func__", member), "__code__", None)
            if code is not None:
                hashed.update(f"{name}{code.co_code!r}{code.co_consts!r}{code.co_names!r}".encode())
    own = cls.__module__.split(".")[0]
    files: dict[str, str] = {}
    while waiting:
        module = waiting.pop()
        file = _file_of(module)
        if module in files or file is None:
            continue
        files[module], imported = _read(file.read_text(encoding="utf-8"), module, file.stem == "__init__")
        waiting += [name for name in imported if name.startswith(_COMPUTING) or _inside(name, own)]
    for _, code in sorted(files.items()):
        hashed.update(code.encode())
    return hashed.hexdigest()[:16]


def _inside(module: str, package: str) -> bool:
    """Whether a module is one of a plug-in's own package, which is not cellda."""
    return package != "cellda" and module.split(".")[0] == package


def _file_of(module: str) -> Path | None:
    """The source file of a module, without importing it; None if there is none, as for the name of a class."""
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded is not None:
        return Path(loaded) if loaded.endswith(".py") else None
    package, *inner = module.split(".")
    for folder in getattr(sys.modules.get(package), "__path__", ()):
        place = Path(folder, *inner)
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


@cache
def _read(text: str, module: str, is_package: bool) -> tuple[str, frozenset[str]]:
    """The code of a module without comments and docstrings, and the names that it may import, modules or what is in them."""
    tree = ast.parse(text)
    package = module if is_package else module.rpartition(".")[0]
    imported = frozenset(_imports(tree, package))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            del node.body[0]
    return ast.dump(tree), imported


def _imports(node: ast.AST, package: str) -> Iterator[str]:
    """Full names of all that is imported below a node, whatever is for type checkers alone left aside."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        relative = "." * node.level + (node.module or "")
        origin = importlib.util.resolve_name(relative, package) if node.level else relative
        yield origin
        yield from (f"{origin}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for otherwise in node.orelse:
            yield from _imports(otherwise, package)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, package)
