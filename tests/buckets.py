"""A real server of the S3 protocol on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import fsspec
from moto.server import ThreadedMotoServer

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """A server with the bucket `cells`; the environment that finds it."""
    serving = ThreadedMotoServer(port=0)
    serving.start()
    host, port = serving.get_host_and_port()
    environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    try:
        boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"], **client()).create_bucket(Bucket="cells")
        yield environment
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        serving.stop()


def client() -> dict[str, str]:
    """The settings of a client of the server."""
    return {
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "region_name": "us-east-1",
    }
