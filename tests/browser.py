"""A real browser and a real server for tests: found on this machine, or the test is skipped."""

import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> str:
    """The browser of this machine."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt install chromium)")
    return found


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


class App:
    """`cellda app` as a process of its own."""

    def __init__(self, images: Path, model: Path | str, log: Path, port: int) -> None:
        self.command = [sys.executable, "-m", "cellda", "app", str(images), "--no-browser"]
        self.command += ["--port", str(port), "--model", str(model)]
        self.log, self.port = log, port
        self.start()

    def start(self) -> None:
        """Begin, and wait for the address."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        for _ in range(600):
            if found := re.search(r"Open (http://\S+)", self.log.read_text()):
                self.address = found[1]
                self.base = self.address.partition("?")[0]
                self._answering()
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def _answering(self) -> None:
        for _ in range(300):
            with socket.socket() as some:
                if some.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)

    def kill(self) -> None:
        """As when the machine is switched off."""
        self.process.kill()
        self.process.wait()
