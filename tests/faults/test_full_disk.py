"""A disk that is too small: one sentence that says what is missing, and with more room the next call goes on.

The disk is a small one in memory where such a disk may be mounted. Everywhere, the system's limit of the size of a file stands
for it, which ends the same calls with the same kind of error.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cellda.errors import CelldaError, ConfigurationError
from faults import counts
from tiny import recipe, target


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A small disk in memory, whose size can be set again; skips where it may not be mounted."""
    place = tmp_path / "disk"
    place.mkdir()

    def sized(size: int) -> Path:
        again = ["remount,"] if os.path.ismount(place) else [""]
        said = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"{again[0]}size={size}", "cellda-test", place],
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode:
            pytest.skip(f"needs a small disk: {said.stderr.strip()}")
        return place

    try:
        yield sized
    except FileNotFoundError:
        pytest.skip("needs the command mount")
    finally:
        if os.path.ismount(place):
            subprocess.run(["umount", place], check=True)


@pytest.fixture
def limit(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A folder in which no file can be larger than what was set last."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def sized(size: int) -> Path:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        return tmp_path

    try:
        yield sized
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def made(store: Path):
    chosen = recipe(
        adapter={"name": "full", "epochs": 1}, search={"trials": 2, "folds": 2}, training={"epochs": 2}
    )
    return chosen.run(target(), store=store, progress=False).predictions


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return made(tmp_path_factory.mktemp("large"))


def test_images_without_room_are_refused_before_the_first_one(disk, expected) -> None:
    store = disk(150_000)
    with pytest.raises(ConfigurationError, match=r"no room for the decoded images: .* more are needed"):
        made(store)
    assert not list(store.glob("pixels/*"))
    assert expected.equals(made(disk(50_000_000)))


SIZES = [
    pytest.param(range(400_000, 6_000_000, 1_400_000), id="short"),
    pytest.param(range(300_000, 6_000_000, 200_000), id="long", marks=pytest.mark.faults),
]


@pytest.mark.parametrize("sizes", SIZES)
def test_wherever_the_disk_fills_the_next_call_goes_on(disk, expected, sizes: range) -> None:
    refused = refused_until_done(disk, sizes, expected)
    counts.write(
        "full_disk",
        [{"disks": len(refused) + 1, "refused_in_a_sentence": len(refused), "identical_with_more_room": 1}],
    )


LIMITS = [
    pytest.param([8_000, 100_000, 400_000], id="short"),
    pytest.param(
        [*range(4_100, 20_000, 1_000), *range(20_000, 800_000, 40_000)], id="long", marks=pytest.mark.faults
    ),
]


@pytest.mark.parametrize("sizes", LIMITS)
def test_whichever_file_becomes_too_large_the_next_call_goes_on(limit, expected, sizes: list[int]) -> None:
    refused_until_done(limit, sizes, expected)


def refused_until_done(sized: Callable[[int], Path], sizes: Sequence[int], expected) -> list[str]:
    """Make the run in a place that grows until it has room; the sentences before that, one for each size."""
    refused = []
    for size in sizes:
        try:
            made(sized(size))
            break
        except CelldaError as error:
            refused.append(str(error))
    assert refused
    assert all("There is no room" in said and "enforce fail" not in said for said in refused)
    store = sized(50_000_000)
    assert expected.equals(made(store))
    assert not [place for place in store.glob("*/*") if place.suffix]
    return refused
