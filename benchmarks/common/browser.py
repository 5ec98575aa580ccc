"""A headless Chromium, and servers that it looks at."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cellda.errors import ConfigurationError

if TYPE_CHECKING:
    from playwright.sync_api import Page

DESK = (1280, 900)
"""Width and height of a window on a desk, in pixels."""


def chromium() -> str:
    """The program of the browser.

    Raises:
        ConfigurationError: If none is installed.
    """
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise ConfigurationError("No Chromium is installed; on Debian: apt install chromium")
    return browser


@contextmanager
def window(size: tuple[int, int] = DESK, dark: bool = False) -> Iterator["Page"]:
    """An empty window of a browser without history."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield made.new_page(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        made.close()


@contextmanager
def served(words: Sequence[object], ready: str) -> Iterator[str]:
    """A server of its own process; what the group of the pattern `ready` finds in what it prints."""
    with subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield next(found[1] for line in server.stdout if (found := re.search(ready, line)))
        finally:
            server.terminate()


def app(python: object, images: object, model: object = "pooled") -> list[object]:
    """The command that starts the app on a folder; it prints `Open ADDRESS`."""
    return [python, "-m", "cellda", "app", images, "--model", model, "--no-browser"]


ADDRESS = r"Open (\S+)"
"""What the app prints when it is ready."""
