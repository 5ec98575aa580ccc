"""Paths as users give them."""

import errno
import os
from pathlib import Path

from cellda.errors import ConfigurationError
from cellda.text import shown

_LONG = 200


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


def is_url(given: str | Path) -> bool:
    """Whether a place is given as a URL (`s3://bucket/prefix`) rather than as a path."""
    return "://" in str(given)


def _brief(given: str | Path) -> str:
    text = shown(given)
    return text if len(text) <= _LONG else f"{text[: _LONG // 2]}...{text[-_LONG // 2 :]}"
