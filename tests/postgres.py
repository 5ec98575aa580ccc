"""A PostgreSQL server of its own for a test, from the binaries of the system."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from browser import free_port

PASSWORD = "s3cret-of-the-lab"


def binaries() -> Path:
    """Where initdb and pg_ctl are; the test is skipped if they are nowhere."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="pip install 'cellda[cluster]'")
    return found[-1].parent


@contextmanager
def server() -> Iterator[str]:
    """The address of a new database with a password, without the driver: `USER:PASSWORD@HOST:PORT/DATABASE`."""
    place, port = binaries(), free_port()
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root

    def do(*words: str) -> None:
        done = subprocess.run(
            [place / words[0], *words[1:]], user=user, capture_output=True, text=True, check=False, cwd="/"
        )
        assert done.returncode == 0, done.stdout + done.stderr

    folder = Path(tempfile.mkdtemp(prefix="cellda-postgres-"))
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if user is not None:
            for one in (folder, secret):
                shutil.chown(one, user)
        data = str(folder / "data")
        do("initdb", "-D", data, "-U", "lab", "-A", "scram-sha-256", "--pwfile", str(secret), "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        do("pg_ctl", "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start")
        try:
            yield f"lab:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            do("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)
