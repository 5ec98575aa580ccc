"""Downloads that are cut, interrupted or answered oddly: what is asked for again, and what is not."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import cellda.datasets
from cellda.datasets.download import transfer
from cellda.datasets.download.fetch import fetch
from cellda.errors import DataError
from served import TECOM, Answer, Server, zipped

CUT = 3 * transfer.BLOCK
"""After how many bytes connections are cut here: at the end of a block, so that none is lost."""


def test_a_cut_connection_costs_only_what_has_not_arrived(server: Server, tecom: bytes, tmp_path: Path):
    """All of it but for the block that was just being read."""
    server.cuts = [CUT + 10, transfer.BLOCK]
    fetch("jiangxi_tecom", tmp_path)
    assert server.answers == [
        Answer(200, None, CUT + 10),
        Answer(206, f"bytes={CUT}-", transfer.BLOCK),
        Answer(206, f"bytes={CUT + transfer.BLOCK}-", len(tecom) - CUT - transfer.BLOCK),
    ]


def test_what_has_arrived_waits_for_the_next_call(server: Server, tecom: bytes, tmp_path: Path):
    server.cuts = [CUT, *[0] * 3]
    with pytest.raises(DataError, match="it was cut") as caught:
        fetch("jiangxi_tecom", tmp_path)
    assert len(server.answers) == transfer.FAILURES
    assert "the same command resumes from there" in str(caught.value)
    assert f"from https://example.org/page and unpack it in {tmp_path / 'jiangxi_tecom'}" in str(caught.value)
    assert not (tmp_path / "jiangxi_tecom").exists()

    server.answers.clear()
    fetch("jiangxi_tecom", tmp_path)
    assert server.answers == [Answer(206, f"bytes={CUT}-", len(tecom) - CUT)]
    assert len(cellda.datasets.load("jiangxi_tecom", tmp_path / "jiangxi_tecom")) == 3


def test_an_interruption_leaves_what_has_arrived(server: Server, tecom: bytes, tmp_path: Path, monkeypatch):
    received = requests.Response.iter_content

    def interrupted(self: requests.Response, _size: int) -> Iterator[bytes]:
        yield next(received(self, 700))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(requests.Response, "iter_content", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch("jiangxi_tecom", tmp_path)
    fetch("jiangxi_tecom", tmp_path)
    assert server.answers[1:] == [Answer(206, "bytes=700-", len(tecom) - 700)]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_sure_version_the_file_is_read_anew(server: Server, tecom: bytes, tmp_path: Path, etag):
    server.etag, server.cuts = etag, [CUT]
    fetch("jiangxi_tecom", tmp_path)
    assert server.answers == [Answer(200, None, CUT), Answer(200, None, len(tecom))]


def test_a_server_without_ranges_sends_the_file_anew(server: Server, tecom: bytes, tmp_path: Path):
    server.ranges, server.cuts = False, [CUT]
    fetch("jiangxi_tecom", tmp_path)
    assert server.answers == [Answer(200, None, CUT), Answer(200, f"bytes={CUT}-", len(tecom))]


def test_a_cut_is_noticed_where_the_server_gives_no_length(server: Server, tecom: bytes, tmp_path: Path):
    server.chunked, server.cuts = True, [CUT]
    fetch("jiangxi_tecom", tmp_path)
    assert [(answer.status, answer.sent) for answer in server.answers] == [
        (200, CUT),
        (206, len(tecom) - CUT),
    ]


def test_an_end_that_http_did_not_notice_is_a_cut(server: Server, tecom: bytes, tmp_path: Path, monkeypatch):
    """As with versions of urllib3 that do not count."""
    received, whole = requests.Response.iter_content, iter([False])

    def ended(self: requests.Response, size: int) -> Iterator[bytes]:
        blocks = received(self, size)
        return blocks if next(whole, True) else iter([next(blocks)])

    monkeypatch.setattr(requests.Response, "iter_content", ended)
    fetch("jiangxi_tecom", tmp_path)
    assert server.answers[1:] == [Answer(206, f"bytes={transfer.BLOCK}-", len(tecom) - transfer.BLOCK)]


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(
    server: Server, tecom: bytes, tmp_path: Path
):
    server.ranges, server.cuts = False, [CUT] * 50
    with pytest.raises(DataError, match="it was cut"):
        fetch("jiangxi_tecom", tmp_path)
    assert len(server.answers) == transfer.FAILURES


@pytest.mark.parametrize("heeds", [True, False])
def test_halves_of_two_files_are_never_joined(server: Server, publish, tmp_path: Path, heeds: bool):
    """Also where a server sends the rest of the new file, although it was asked for that of the old one."""
    server.cuts = [CUT, *[0] * 3]
    publish(zipped({"old": b"x" * 100_000, **TECOM}))
    with pytest.raises(DataError):
        fetch("jiangxi_tecom", tmp_path)
    server.etag, server.heeds_if_range = '"two"', heeds
    new = zipped(TECOM)
    publish(new)
    fetch("jiangxi_tecom", tmp_path)
    record = json.loads((tmp_path / "jiangxi_tecom.download.json").read_text())
    assert record["sha256"] == hashlib.sha256(new).hexdigest()


def test_another_range_than_was_asked_for_is_not_used(server: Server, tecom: bytes, tmp_path: Path):
    server.cuts, server.step = [CUT], 1000
    fetch("jiangxi_tecom", tmp_path)
    assert [(answer.status, answer.asked) for answer in server.answers] == [
        (200, None),
        (206, f"bytes={CUT}-"),
        (200, None),
    ]


def test_a_part_that_is_whole_is_not_fetched_again(server: Server, tecom: bytes, tmp_path: Path):
    part = tmp_path / "jiangxi_tecom.partial" / "file.zip.part"
    part.parent.mkdir()
    part.write_bytes(tecom)
    part.with_name("file.zip.part.version").write_text(f'{server.url}\n"one"\n')
    fetch("jiangxi_tecom", tmp_path)
    assert server.answers == [Answer(416, f"bytes={len(tecom)}-", 0)]


def test_a_part_of_another_address_is_not_used(server: Server, tecom: bytes, tmp_path: Path):
    part = tmp_path / "jiangxi_tecom.partial" / "file.zip.part"
    part.parent.mkdir()
    part.write_bytes(b"of something else")
    part.with_name("file.zip.part.version").write_text('https://example.org/other\n"one"\n')
    fetch("jiangxi_tecom", tmp_path)
    assert server.answers == [Answer(200, None, len(tecom))]


def test_a_busy_server_is_asked_again(server: Server, tecom: bytes, tmp_path: Path):
    server.statuses = [503, 429]
    fetch("jiangxi_tecom", tmp_path)
    assert [answer.status for answer in server.answers] == [503, 429, 200]


def test_a_missing_file_is_not_asked_for_again(server: Server, tecom: bytes, tmp_path: Path):
    server.statuses = [404]
    with pytest.raises(DataError, match="the server answers 404 Not Found") as caught:
        fetch("jiangxi_tecom", tmp_path)
    assert "https://example.org/page" in str(caught.value)
    assert "resumes from there" not in str(caught.value)
    assert len(server.answers) == 1
    assert list(tmp_path.iterdir()) == []
