"""What every test gets: no screen, one thread, checked shapes, and real images where there are any."""

import os
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before torch and matplotlib are imported, and inherited by the processes that tests start. One thread a
# process, because pytest-xdist already runs a process a core.
os.environ["MPLBACKEND"] = "Agg"
os.environ["OMP_NUM_THREADS"] = "1"
# What the tests' files held is not remembered in the user's own store.
os.environ["CELLDA_STORE"] = tempfile.mkdtemp(prefix="cellda-tests-")

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

from cellda.runtime.work import Stage, Work, watched
from said import WIDTH, Said
from served import TECOM, Server, zipped

# Shapes in the signatures of these tensor operations are checked at every call. Not where a wrong shape has
# an error of its own, which the check would come before.
install_import_hook(
    [
        "cellda.imaging.colour_space",
        "cellda.imaging.padding",
        "cellda.imaging.augment",
        "cellda.training.batches",
        "cellda.training.examples",
    ],
    "beartype.beartype",
)
torch.set_num_threads(1)
# Speed is measured in benchmarks/speed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_unconfigure() -> None:
    """Remove the store of all tests."""
    shutil.rmtree(os.environ["CELLDA_STORE"], ignore_errors=True)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real images, one subfolder per dataset; skips the test where there is none."""
    folder = os.environ.get("CELLDA_DATA")
    if not folder:
        pytest.skip("needs real images: set CELLDA_DATA to the folder that holds one subfolder per dataset")
    root = Path(folder).expanduser()
    if not root.is_dir():
        pytest.fail(f"CELLDA_DATA is '{folder}', which is not a folder.")
    return root


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    """A server of this machine; downloads do not wait before they try again."""
    from cellda.datasets.download import transfer

    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    with Server() as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.fixture
def publish(server: Server, monkeypatch) -> Callable[..., None]:
    """Let the server publish dataset `name` as these bytes."""
    from cellda.datasets.download import places

    def serve(
        content: bytes, name: str = "jiangxi_tecom", kind: type = places.Archive, **fields: Any
    ) -> None:
        server.content = content
        source = kind(url=server.url, page="https://example.org/page", **{"file": "file.zip", **fields})
        monkeypatch.setitem(places.PUBLISHED, name, source)

    return serve


@pytest.fixture
def tecom(publish) -> bytes:
    """The server publishes `jiangxi_tecom` as GitHub does."""
    content = zipped(TECOM, ("segmentation_WBC-master/", "segmentation_WBC-master/Dataset 1/"))
    publish(content)
    return content


@pytest.fixture
def trainings() -> Iterator[Counter]:
    """Trainings that have begun, by what they are."""
    done: Counter = Counter()

    def count(work: Work) -> None:
        if work.stage in {Stage.TRAIN, Stage.TRAIN_SOURCE, Stage.PROBE, Stage.ADAPT}:
            done[work] += 1

    with watched(count):
        yield done


@pytest.fixture
def cellda_(monkeypatch, capsys, tmp_path: Path):
    """Call `cellda` with these arguments, in this process, with a store of its own."""
    from cellda import cli

    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("CELLDA_STORE", str(tmp_path / "store"))

    def call(*arguments: Any) -> Said:
        monkeypatch.setattr(sys, "argv", ["cellda", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(int(stopped.value.code or 0), said.out, said.err)

    return call
