"""A real server of the S3 protocol on this machine, and machines that share it."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import fsspec
from moto.server import ThreadedMotoServer

from cellda.runtime.storage.store import Store

BUCKET = "cells"


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """A server with a bucket; the environment by which clients find it."""
    serving = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    serving.start()
    host, port = serving.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    try:
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield {**keys, "AWS_ENDPOINT_URL": address}
    finally:
        forget()
        serving.stop()


def forget() -> None:
    """Have the next client look into the environment again."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def address() -> str:
    """The URL of a new store."""
    return f"s3://{BUCKET}/{secrets.token_hex(8)}"


Machine = Callable[[str], Store]
"""The store as a machine of this name sees it, and from then on as this process is that machine."""


def machines(monkeypatch, served: dict[str, str], folder: Path) -> Machine:
    """Machines that share one new store, each with its own copies."""
    for name, value in served.items():
        monkeypatch.setenv(name, value)
    forget()
    url = address()

    def enter(name: str) -> Store:
        monkeypatch.setenv("CELLDA_COPIES", str(folder / name))
        return Store(url)

    return enter
