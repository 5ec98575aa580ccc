"""What every test gets: no screen, one thread, checked shapes, and real images where there are any."""

import os
from pathlib import Path

# Before torch and matplotlib are imported, and inherited by the processes that tests start. One thread a
# process, because pytest-xdist already runs a process a core.
os.environ["MPLBACKEND"] = "Agg"
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from jaxtyping import install_import_hook

# Shapes in the signatures of these tensor operations are checked at every call. Not where a wrong shape has
# an error of its own, which the check would come before.
install_import_hook(
    [
        "cellda.normalizers.colour_space",
        "cellda.normalizers.padding",
        "cellda.training.augment",
        "cellda.training.batches",
        "cellda.training.examples",
    ],
    "beartype.beartype",
)
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real images, one subfolder a dataset; skips the test where there is none."""
    folder = os.environ.get("CELLDA_DATA")
    if not folder:
        pytest.skip("needs real images: set CELLDA_DATA to the folder that holds one subfolder a dataset")
    root = Path(folder).expanduser()
    if not root.is_dir():
        pytest.fail(f"CELLDA_DATA is '{folder}', which is not a folder.")
    return root
