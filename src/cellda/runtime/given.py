"""Paths as users give them."""

import errno
import os
import re
from pathlib import Path

from cellda.errors import ConfigurationError
from cellda.text import shown

_LONG = 200
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?P<slashes>/+)")
"""A drive of Windows has one letter."""


def path_of(given: str | Path) -> Path:
    """A path with `~` expanded. Nothing needs to be there.

    Args:
        given: What a user wrote.

    Raises:
        ConfigurationError: If the system cannot look for it: it is too long, or the user after its `~` does not exist.
    """
    try:
        path = Path(given).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"There is no home folder for '{_brief(given)}'; write the whole path instead of '~'."
        ) from None
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ConfigurationError(
                f"The path '{_brief(given)}' is too long for this system; give a shorter one."
            ) from None
    except ValueError:
        raise ConfigurationError(f"The path '{_brief(given)}' holds a null character; remove it.") from None
    return path


def url_of(given: str | Path) -> str | None:
    """The URL of a place that is given as one (`s3://bucket/prefix`); None if it is a path.

    Raises:
        ConfigurationError: If it is neither, or names nothing: it would be taken for a folder of that name.
    """
    text = str(given)
    found = _URL.match(text)
    if found is None:
        return None
    scheme, slashes, rest = found["scheme"], found["slashes"], text[found.end() :].strip("/")
    if scheme == "file":
        raise ConfigurationError(
            f"'{_brief(text)}' is a folder of this machine; give its path, without 'file:'."
        )
    if slashes != "//" or not rest:
        raise ConfigurationError(
            f"'{_brief(text)}' is neither a path nor a URL; write {scheme}://NAME/PREFIX, as text (a Path loses a slash)."
        )
    if set(rest) & set("*?["):  # fsspec takes them for patterns, also where it removes
        raise ConfigurationError(
            f"'{_brief(text)}' holds one of the characters * ? [; choose a prefix without them."
        )
    return f"{scheme}://{rest}"


def _brief(given: str | Path) -> str:
    text = shown(given)
    return text if len(text) <= _LONG else f"{text[: _LONG // 2]}...{text[-_LONG // 2 :]}"
