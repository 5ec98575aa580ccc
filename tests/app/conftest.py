"""Projects of drawn cells."""

from pathlib import Path

import pytest
from PIL import Image

from tiny import target


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of 24 cells on two slides of one patient; their classes are in their names."""
    folder = tmp_path / "cells"
    cells = target(0)
    pixels = cells.read(range(24), 48).permute(0, 2, 3, 1).numpy()
    for place, name in enumerate(cells.table["label"][:24]):
        file = folder / "anna" / f"slide {place % 2}" / f"{place:02d}_{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[place]).save(file)
    return folder


@pytest.fixture
def project(images: Path):
    """A project of these images."""
    pytest.importorskip("sqlmodel", reason="the extra app is not installed")
    from cellda.app.project.project import Project

    made = Project(images)
    made.read_folder()
    yield made
    made.engine.dispose()
