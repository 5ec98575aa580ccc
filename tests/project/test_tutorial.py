"""The tutorial runs as it is, from its first cell to its last, and shows what it says."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> list[dict]:
    """What every cell of code shows."""
    notebook = nbformat.read(TUTORIAL, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MPLBACKEND", raising=False)
        patch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")  # as `make docs`
        patch.setenv("CELLDA_STORE", str(tmp_path_factory.mktemp("store")))
        NotebookClient(
            notebook, timeout=600, resources={"metadata": {"path": str(TUTORIAL.parent)}}
        ).execute()
    return [cell["outputs"] for cell in notebook.cells if cell.cell_type == "code"]


def test_the_tutorial_runs(shown: list[dict]):
    texts = ["".join(str(one) for one in outputs) for outputs in shown]
    assert sum("image/png" in text for text in texts) == 1
    assert "used 24 labels" in "".join(texts)
    assert all(name in "".join(texts) for name in ("no_fine_tune", "head_only", "our_workflow"))
    share = float(shown[-1][-1]["data"]["text/plain"])
    assert 0.3 < share <= 1
    assert "ipywidgets" not in "".join(texts)


def test_it_is_kept_without_outputs():
    """Outputs are made where it is run or built: what is kept cannot be old."""
    notebook = nbformat.read(TUTORIAL, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
