"""A fixture for all speed tests: the folder of the real images."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real images, one subfolder per dataset; skips the test if there is none."""
    folder = os.environ.get("CELLDA_DATA")
    if not folder:
        pytest.skip("needs real images: set CELLDA_DATA to the folder that holds one subfolder per dataset")
    return Path(folder).expanduser()
