"""A source model of another distribution, as pip leaves it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cellda import source_models
from interpreter import install
from tiny import model_folder

NAME, PACKAGE = "ward", "wardlab"


@contextmanager
def installed(site: Path) -> Iterator[Path]:
    """Within it, the model `ward` is registered; its folder."""
    install(site, PACKAGE, {}, f"[cellda.source_models]\n{NAME} = {PACKAGE}.models.{NAME}\n")
    folder = model_folder(site / PACKAGE / "models" / NAME)
    with pytest.MonkeyPatch.context() as patch, source_models.registry.scratch():
        patch.syspath_prepend(site)
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            patch.delitem(sys.modules, name)  # of another test, in another folder
        yield folder
