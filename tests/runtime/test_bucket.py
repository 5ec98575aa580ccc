"""Buckets: what cellda needs of object storage, with a real server, and its errors as sentences."""

import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from buckets import address, forget, server
from cellda.errors import ConfigurationError
from cellda.runtime.storage.bucket import Bucket


@pytest.fixture(scope="module")
def served():
    with server() as environment:
        yield environment


@pytest.fixture
def bucket(served, monkeypatch) -> Bucket:
    for name, value in served.items():
        monkeypatch.setenv(name, value)
    forget()
    return Bucket(address())


def test_an_object_is_created_once_and_then_replaced_or_removed(bucket) -> None:
    assert bucket.read("a/one") is None
    assert bucket.changed("a/one") is None
    assert bucket.create("a/one", b"1")
    assert not bucket.create("a/one", b"2")
    assert bucket.read("a/one") == b"1"
    bucket.write("a/one", b"22")
    bucket.write("a/below/two", b"")
    (one,) = bucket.listed("a")
    assert (one.name, one.size) == ("a/one", 2)
    assert bucket.changed("a/one") == one.changed
    assert abs(bucket.now() - one.changed) < 60
    assert bucket.folders() == ["a"]
    assert list(bucket.read_all(["a/one", "a/none", "a/below/two"])) == [b"22", None, b""]
    bucket.move("a/one", "a/three")
    assert [found.name for found in bucket.listed("a")] == ["a/three"]
    bucket.remove("a/three")
    bucket.remove("a/three")
    for folder in ("a", "a", "a/below"):
        bucket.remove_all(folder)
    assert bucket.folders() == []
    assert bucket.listed("a") == []


@pytest.mark.parametrize("size", [0, 1000, 60_000_000])  # the last one goes in parts
def test_a_file_is_sent_once_and_fetched(bucket, size: int, tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(b"\7" * size)
    (tmp_path / "other").write_bytes(b"other")
    assert bucket.send(tmp_path / "own", "x/file")
    assert not bucket.send(tmp_path / "other", "x/file")
    bucket.fetch("x/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "own").read_bytes()
    with pytest.raises(FileNotFoundError):
        bucket.fetch("x/none", tmp_path / "none")


def test_a_bucket_that_can_be_used_is_not_changed_by_the_check(bucket) -> None:
    bucket.check()
    assert bucket.listed("") == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://no-such-bucket/a", "cannot be used: there is no such bucket; create it first"),
        ("s4://bucket/a", "is no address that fsspec knows: Protocol not known: s4"),
    ],
)
def test_addresses_that_lead_nowhere_are_refused(bucket, url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"The store {url} {told}"):
        Bucket(url).check()


def test_a_server_that_does_not_answer_is_said(bucket, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    forget()
    with pytest.raises(
        ConfigurationError, match=r"cannot be reached \(EndpointConnectionError: Could not connect"
    ):
        bucket.check()


def test_missing_credentials_are_said(bucket, monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget()
    with pytest.raises(ConfigurationError, match="there are no credentials; set AWS_ACCESS_KEY_ID and"):
        bucket.check()


def test_a_denied_request_is_said(bucket, monkeypatch) -> None:
    def denied(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(bucket._files, "pipe_file", denied)
    with pytest.raises(
        ConfigurationError, match="access is denied; check the credentials, and what they permit"
    ):
        bucket.check()


def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(
        ConfigurationError, match=r"needs a package that is not installed: pip install 'cellda\[s3\]'"
    ):
        Bucket("s3://cells/a").check()


class Careless(MemoryFileSystem):
    """A file system that writes over what is there, whatever it is asked."""

    protocol = "careless"
    store: dict = {}
    pseudo_dirs = [""]

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        return super().pipe_file(path, value, mode="overwrite", **kwargs)


def test_a_file_system_that_cannot_create_exclusively_is_refused() -> None:
    fsspec.register_implementation("careless", Careless, clobber=True)
    with pytest.raises(ConfigurationError, match=r"only if there is none \(conditional writes\)"):
        Bucket("careless://a/b").check()
    Bucket("memory://a/b").check()
