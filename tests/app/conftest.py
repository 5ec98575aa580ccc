"""Projects of drawn cells."""

from pathlib import Path

import pytest

from drawn import drawn


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of 24 cells on two slides of one patient; their classes are in their names."""
    return drawn(tmp_path / "cells", 24, slides=2)


@pytest.fixture
def project(images: Path):
    """A project of these images."""
    pytest.importorskip("sqlmodel", reason="the extra app is not installed")
    from cellda.app.project.project import Project

    made = Project(images)
    made.read_folder()
    yield made
    made.engine.dispose()
