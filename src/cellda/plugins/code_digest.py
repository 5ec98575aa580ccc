"""Hashes of the code that results depend on: cellda's shared code by path, plug-ins by class."""

import hashlib
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType

PACKAGE = Path(__file__).parents[1]
"""The folder of cellda's own source files."""

COMPILED = frozenset({".py", ".so", ".pyd", ".dylib"})
"""Suffixes of the code files of a package."""

_FOREIGN = {"abc", "builtins", "pydantic", "torch", "typing"}
"""Packages whose classes plug-ins derive from; not hashed, because the keys contain their versions."""


def shared_code(places: Iterable[str], root: Path = PACKAGE) -> str:
    """Hash of the bytes of cellda's files, comments included.

    Bytes are hashed and not syntax trees, because dumps of syntax trees differ between Python versions. Each file is read once
    per process, because later changes of a file do not affect the running code.

    Args:
        places: Files and folders, relative to `root`, such as `"training"` or `"adapters/base.py"`; a folder stands for all
            Python files in and below it.
        root: The folder of the package.

    Raises:
        FileNotFoundError: If a place does not exist, because the table of keys names code that has moved.
    """
    return _shared_code(tuple(places), root)


@cache
def _shared_code(places: tuple[str, ...], root: Path) -> str:
    return _combined(_bytes_digest(file, root) for file in shared_files(places, root))


def shared_files(places: Iterable[str], root: Path = PACKAGE) -> list[Path]:
    """The files that `shared_code` hashes, sorted, each once.

    Raises:
        FileNotFoundError: If a place does not exist.
    """
    found: set[Path] = set()
    for place in map(root.joinpath, places):
        if not place.exists():
            raise FileNotFoundError(
                f"There is no {place}, but the keys of stored results name it (cellda.experiment.keys)."
            )
        found |= {place} if place.is_file() else set(place.rglob("*.py"))
    return sorted(found)


@cache
def member_code(cls: type) -> str:
    """Hash of the code of a plug-in class and of its base classes.

    For a class of cellda, its file is hashed; for a class of another package, the whole package, because it may call helpers
    there; for a module outside any package, that file. A class without a file (in a notebook) is hashed by its compiled
    functions.
    """
    parts: list[str] = []
    for base in cls.__mro__:
        top = base.__module__.split(".")[0]
        if top in _FOREIGN:
            continue
        file = getattr(sys.modules.get(base.__module__), "__file__", None)
        if file is None:
            parts += _class_without_file(base)
        elif top == "cellda":
            parts.append(_bytes_digest(Path(file), PACKAGE))
        else:
            parts.append(_package_code(top, Path(file)))
    return _combined(dict.fromkeys(parts))


def forget() -> None:
    """Read all code anew at the next question, as a new process does."""
    for cached in (member_code, _shared_code, _package_code, _bytes_digest):
        cached.cache_clear()


@cache
def _package_code(name: str, file: Path) -> str:
    """Hash of an installed package, or of a file outside any package."""
    folders = [Path(folder) for folder in getattr(sys.modules.get(name), "__path__", ())]
    if not folders:
        return _bytes_digest(file, file.parent)
    return _combined(
        _bytes_digest(inside, folder)
        for folder in folders
        for inside in sorted(folder.rglob("*"))
        if inside.suffix in COMPILED
    )


def _class_without_file(cls: type) -> Iterator[str]:
    """A class of a notebook: its source where the notebook keeps it, else its members, as far as they can be written down."""
    try:
        yield inspect.getsource(cls)
    except (OSError, TypeError):
        for name, member in sorted(vars(cls).items()):
            if name not in ("__dict__", "__weakref__", "__doc__"):
                yield f"{name} {_member(member)}"


def _member(member: object) -> str:
    """What a member of a class computes, the same in every process."""
    if isinstance(member, property):
        return " ".join(_member(part) for part in (member.fget, member.fset, member.fdel) if part)
    code = getattr(getattr(member, "__func__", member), "__code__", None)
    return repr(member) if code is None else _code(code)


def _code(code: CodeType) -> str:
    """A compiled function and those inside it; sets of constants have no order, and inner functions no lasting address."""
    constants = [
        _code(one)
        if isinstance(one, CodeType)
        else repr(sorted(map(repr, one)) if isinstance(one, frozenset) else one)
        for one in code.co_consts
    ]
    return f"{code.co_code!r} {code.co_names!r} {constants!r}"


@cache
def _bytes_digest(file: Path, root: Path) -> str:
    content = hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
    return f"{file.relative_to(root).as_posix()} {content}"


def _combined(parts: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
