"""Checks that need no heavy imports, so that a mistake on the command line is reported at once.

The recipe repeats these checks and makes more; but building one imports torch and timm, which takes seconds.
"""

import glob
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cellda.errors import ConfigurationError, DataError
from cellda.runtime.given import path_of, url_of
from cellda.runtime.os_errors import reason
from cellda.runtime.place import check_apart, check_writable

if TYPE_CHECKING:
    from cellda.plugins.registry import Registry


def each(check: Callable[[Any], None]) -> Callable[[Any], Any]:
    """The callback of an option that checks its value, or each of its values."""

    def callback(value: Any) -> Any:
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                check(one)
        return value

    return callback


def existing(places: Any) -> Any:
    """The callback of an option that takes files or folders, all of which must exist.

    Raises:
        DataError: If some do not; all of them are listed.
    """
    given = places if isinstance(places, list) else [places]
    absent = [f"{place}" for place in given if place is not None and not path_of(place).exists()]
    if absent:
        raise DataError("There is no such file or folder:", absent)
    return places


def existing_images(places: list[Path]) -> list[Path]:
    """The callback of an option that takes images, folders of them, and patterns, which no shell has replaced by names.

    Raises:
        DataError: If some do not exist or match nothing; all of them are listed.
    """
    existing([place for place in places if not glob.has_magic(str(place)) or not _matches(place)])
    return places


def _matches(place: Path) -> bool:
    return any(glob.iglob(str(path_of(place)), recursive=True))  # noqa: PTH207 (an absolute pattern)


def writable_file(option: typer.CallbackParam, place: Path | None) -> Path | None:
    """The callback of an option that takes a file to write: it is tried before the work.

    Raises:
        ConfigurationError: If it cannot be written.
    """
    return None if place is None else check_writable(place, what=option.opts[0])


def writable_folder(option: typer.CallbackParam, place: Path | None) -> Path | None:
    """The callback of an option that takes a folder to write into: it is tried before the work.

    Raises:
        ConfigurationError: If files cannot be written there.
    """
    return None if place is None else check_writable(place, folder=True, what=option.opts[0])


def writable_store(option: typer.CallbackParam, place: str | None) -> str | None:
    """The callback of an option that takes a store to write into, a folder or a URL: it is tried before the work.

    Raises:
        ConfigurationError: If results cannot be stored there.
    """
    if place is None:
        return None
    url = url_of(place)
    if url is not None:
        from cellda.runtime.storage.bucket import Bucket

        Bucket(url).check()
        return url
    return str(check_writable(place, folder=True, what=option.opts[0]))


def readable_store(option: typer.CallbackParam, place: str | None) -> str | None:
    """The callback of an option that takes a store to show; a folder need not exist.

    Raises:
        ConfigurationError: If something else lies there, or it cannot be reached.
    """
    if place is None or url_of(place) is not None:
        return place
    return str(readable_folder(option, Path(place)))


def readable_folder(option: typer.CallbackParam, place: Path | None) -> Path | None:
    """The callback of an option that takes a folder to show; it need not exist.

    Raises:
        ConfigurationError: If something else lies there, or it cannot be reached.
    """
    if place is None:
        return None
    folder = path_of(place)
    try:
        if folder.exists() and not folder.is_dir():
            raise ConfigurationError(f"{option.opts[0]}: {folder} is a file; give a folder.")
        folder.stat()
    except FileNotFoundError:
        return folder
    except OSError as error:
        raise ConfigurationError(f"{option.opts[0]}: {folder} cannot be read: {reason(error)}.") from error
    return folder


def apart(
    places: Mapping[str, str | Path | None], names: Iterable[str], data: Path | None, *folders: Path
) -> None:
    """Refuse folders for results that lie in a folder of images, where a dataset would find them.

    Args:
        places: Option -> the folder that it names, if it was given.
        names: Datasets, given as in `known_dataset`; those that are nowhere are passed over.
        data: The folder of `--data`.
        folders: Further folders of images.

    Raises:
        ConfigurationError: If one does; the message names both.
    """
    from cellda.data.place import place

    found = list(folders)
    for name in names:
        with suppress(ConfigurationError):
            found += filter(None, [place(name, data)])
    for option, given in places.items():
        for images in found:
            if given is not None and url_of(given) is None:
                check_apart(path_of(given), images, what=option)


def known_dataset(text: str) -> None:
    """Refuse a dataset, given as `NAME`, `NAME/VARIANT` or `NAME=PATH`, that is not registered or not there.

    Raises:
        UnknownNameError: If no dataset has this name.
        DataError: If the path does not exist.
    """
    from cellda import datasets

    name, _, path = text.partition("=")
    if name.partition("/")[0] not in datasets.registry:
        raise datasets.unknown(name)
    if path:
        existing(Path(path))


def placed(names: Iterable[str], data: Path | None) -> None:
    """Refuse datasets, given as in `known_dataset`, that have no folder.

    Raises:
        ConfigurationError: If one is neither synthetic, nor at a path of its own, nor in `data`.
    """
    from cellda.data.place import place

    for name in names:
        place(name, data)


def known_model(text: str) -> None:
    """Refuse a trained source model that is neither registered nor a folder.

    Raises:
        UnknownNameError: If it is neither.
        ConfigurationError: If it is both.
    """
    from cellda import source_models

    source_models.registry.place(text)


def known_logger(text: str) -> None:
    """Refuse a logger, given as `NAME` or `NAME=PLACE`, that does not exist or cannot be used.

    Raises:
        ConfigurationError: If so.
    """
    from cellda.tracking.named import named

    named(text).check()


def known_number(text: str) -> None:
    """Refuse a number of labelled images, given as `NUMBER` or `TARGET=NUMBER`, that is not one.

    Raises:
        ConfigurationError: If it is not.
    """
    if not re.fullmatch(r"(.+=)?0*[1-9][0-9]{0,8}", text):
        raise ConfigurationError(
            f"--n takes a number of images from 1 on, or TARGET=NUMBER such as raabin=40; got '{text}'."
        )


def known_preset(name: str) -> None:
    """Refuse a preset that does not exist.

    Raises:
        UnknownNameError: If no preset has this name.
    """
    from cellda import presets

    presets.edits_of(name)


def known_place(text: str) -> str:
    """Refuse a place for work that says nothing.

    Raises:
        ConfigurationError: If it has none of the known forms.
    """
    from cellda.cluster import place_of

    place_of(text)
    return text


def stated_classes(texts: list[str]) -> list[str]:
    """The callback of `--present`: the classes in its texts, between commas; the recipe checks them."""
    return [name.strip() for text in texts for name in text.split(",")]


def known_suggester(name: str) -> None:
    """Refuse a suggester that is not registered.

    Raises:
        UnknownNameError: If no suggester has this name.
    """
    from cellda.suggestion import suggesters

    check_known(suggesters.registry, name)


def known_framing(name: str) -> None:
    """Refuse a framing that is not registered.

    Raises:
        UnknownNameError: If no framing has this name.
    """
    from cellda import framing

    check_known(framing.registry, name)


def known_taxonomy(name: str) -> None:
    """Refuse a taxonomy that is not registered.

    Raises:
        UnknownNameError: If no taxonomy has this name.
    """
    from cellda import taxonomies

    check_known(taxonomies.registry, name)


def check_known(registry: "Registry[Any]", name: str) -> None:
    """Refuse a name that a registry does not know.

    Raises:
        UnknownNameError: With the nearest names.
    """
    from cellda import datasets

    base = name.partition("/")[0]
    if base not in registry:
        raise datasets.unknown(name) if registry is datasets.registry else registry.unknown(base)
