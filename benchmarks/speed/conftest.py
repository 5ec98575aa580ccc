"""What every speed bench gets: the folder of the real images."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real images, one subfolder a dataset; skips the bench where there is none."""
    folder = os.environ.get("CELLDA_DATA")
    if not folder:
        pytest.skip("needs real images: set CELLDA_DATA to the folder that holds one subfolder a dataset")
    return Path(folder).expanduser()
