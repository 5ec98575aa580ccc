"""Which process of which machine: told without a clock, where the system allows it."""

import socket
from functools import cache
from pathlib import Path
from typing import Any

import psutil


@cache
def here() -> dict[str, str]:
    """The machine, since it was started, and the container."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    since = boot.read_text(encoding="ascii").strip() if boot.exists() else str(round(psutil.boot_time()))
    inside = str(processes.readlink()) if processes.is_symlink() else ""
    return {"host": socket.gethostname(), "boot": f"{since} {inside}"}


def is_here(holder: dict[str, Any]) -> bool:
    """Whether the holder is a process of this machine, since its last start, and of this container."""
    return all(holder[name] == value for name, value in here().items())


def lives(holder: dict[str, Any]) -> bool:
    """Whether the holder, a process of this machine, is there."""
    return bool(started(holder["pid"]) == holder["started"])


def started(pid: int) -> str:
    """When a process was started; empty if there is none. Not in seconds where there is something that no clock changes."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in {b"Z", b"X"} else fields[19].decode()
    try:
        return str(round(psutil.Process(pid).create_time()))
    except psutil.NoSuchProcess:
        return ""
