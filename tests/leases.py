"""Locks that other processes, or other machines, have left or hold."""

import json
import subprocess
import sys
from pathlib import Path

from cellda.runtime.storage import holder, lease


def left_by_a_dead_process(file: Path) -> Path:
    """A lock whose process was killed on this machine."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    content = {**holder.here(), "pid": process.pid, "started": "1", "token": "0"}
    file.write_bytes(json.dumps(content).encode() + b"\n" + b"0" * lease.COUNTER)
    return file


def of_another_machine(file: Path, count: int = 0) -> Path:
    """A lock that a process on another machine holds, or held; a higher count is a later heartbeat."""
    content = {"host": "node7", "boot": "b pid:[1]", "pid": 42, "started": "7", "token": "1"}
    with file.open("r+b" if file.exists() else "xb", buffering=0) as stream:
        stream.write(json.dumps(content).encode() + b"\n" + b"%0*d" % (lease.COUNTER, count))
    return file
