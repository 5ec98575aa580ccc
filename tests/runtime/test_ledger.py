"""The ledger of an unfinished stage: what was appended is read again, and nothing else is."""

from pathlib import Path

import pytest

from cellda.runtime.ledger import Ledger

STEPS = [{"number": 0}, {"number": 1, "name": "zweite Färbung\n"}, {"number": 2}, {"number": 3}]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    ledger = Ledger(tmp_path / "steps")
    for step in STEPS:
        ledger.append(step)
    return tmp_path / "steps"


def test_steps_are_read_in_their_order_and_added_to(file: Path, tmp_path: Path):
    assert Ledger(tmp_path / "none").entries() == []
    ledger = Ledger(file)
    assert ledger.entries() == STEPS
    ledger.append("more")
    assert Ledger(file).entries() == [*STEPS, "more"]


def test_every_length_that_a_kill_can_leave_gives_whole_steps(file: Path, capsys):
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        ledger = Ledger(file)
        done = ledger.entries()
        assert done == STEPS[: content[:length].count(b"\n")]
        ledger.append("next")
        assert Ledger(file).entries() == [*done, "next"]
    assert capsys.readouterr().err == ""


def test_no_flipped_byte_is_believed(file: Path, capsys):
    content = file.read_bytes()
    for at in range(len(content)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        done = Ledger(file).entries()
        assert done == STEPS[: content[:at].count(b"\n")]
    assert "is damaged after" in capsys.readouterr().err


def test_lost_and_swapped_lines_are_noticed(file: Path, capsys):
    first, second, *rest = file.read_bytes().splitlines(keepends=True)
    for lines in ([second, first, *rest], [first, *rest], [first, first]):
        file.write_bytes(b"".join(lines))
        assert Ledger(file).entries() == STEPS[: int(lines[0] == first)]
    assert capsys.readouterr().err.count("is damaged after") == 3
