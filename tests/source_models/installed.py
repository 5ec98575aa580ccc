"""A source model of another distribution, as pip leaves it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cellda import source_models
from interpreter import install
from tiny import model_folder

NAME = "ward"


@contextmanager
def installed(site: Path) -> Iterator[Path]:
    """Within it, the model `ward` is registered; its folder."""
    install(site, "wardlab", {}, f"[cellda.source_models]\n{NAME} = wardlab.models.{NAME}\n")
    folder = model_folder(site / "wardlab" / "models" / NAME)
    with pytest.MonkeyPatch.context() as patch, source_models.registry.scratch():
        patch.syspath_prepend(site)
        yield folder
