"""Errors of the operating system as sentences: which file, what happened, what to do."""

import errno
import re

_OWN = "choose a place of your own, or change its permissions"
_NETWORK = "check the network drive, then repeat the command"

_KNOWN: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("there is no room left on the disk", "free some, or choose a place on another disk"),
    errno.EDQUOT: ("your quota on this disk is used up", "free some room, or choose a place on another disk"),
    errno.EFBIG: ("the file is too large for this disk", "choose a place on another disk"),
    errno.EACCES: ("this is not permitted", _OWN),
    errno.EPERM: ("this is not permitted", _OWN),
    errno.EROFS: ("the disk is read-only", "choose a place on another disk"),
    errno.EMFILE: ("too many files are open", "raise the limit, for example with `ulimit -n 4096`"),
    errno.ENFILE: (
        "too many files are open on this machine",
        "close other programs, then repeat the command",
    ),
    errno.ENOMEM: ("there is not enough memory", "close other programs, or use a machine with more"),
    errno.EIO: (
        "the disk reports an error",
        "check the disk and its connection, and copy the data elsewhere",
    ),
    errno.ENOENT: ("there is no such file or folder", "check the path"),
    errno.EEXIST: ("it exists already", "remove it, or choose another name"),
    errno.EISDIR: ("it is a folder", "give a file"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "check the path"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.ELOOP: ("its links form a loop", "remove the link"),
    errno.EINVAL: ("the system does not accept this name or operation", "choose another name or place"),
    errno.EBUSY: ("another program uses it", "close that program, then repeat the command"),
    errno.ENODEV: ("there is no such device", "choose another place"),
    errno.ENXIO: ("there is no such device", "choose another place"),
    errno.EPIPE: ("the reader has gone", "repeat the command"),
    errno.ESTALE: ("the network drive has lost it", _NETWORK),
    errno.ETIMEDOUT: ("the connection timed out", _NETWORK),
    errno.ENOTCONN: ("the drive is not connected", _NETWORK),
    errno.ENETUNREACH: ("the network cannot be reached", _NETWORK),
    errno.ECONNREFUSED: ("the connection was refused", _NETWORK),
}

_NUMBER = re.compile(r"(?:\[errno |os error )(\d+)", re.IGNORECASE)
"""How libraries outside Python's own quote the number of an error (Arrow, safetensors)."""


def number(error: BaseException) -> int | None:
    """The system's number of an error, also where a library only quotes it; None if there is none."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    quoted = _NUMBER.search(str(error))
    return int(quoted[1]) if quoted else None


def reason(error: BaseException) -> str:
    """What happened, with the remedy: `the disk is read-only; choose a place on another disk`."""
    found = number(error)
    if found in _KNOWN:
        return "; ".join(_KNOWN[found])
    text = error.strerror if isinstance(error, OSError) else None
    return (
        f"{text or str(error) or type(error).__name__}; repeat the command, or choose another file or place"
    )


def sentence(error: BaseException) -> str:
    """One sentence with the file that the error names, if it names one."""
    names = [error.filename, error.filename2] if isinstance(error, OSError) else []
    named = " -> ".join(str(name) for name in names if name is not None and not isinstance(name, int))
    return f"{named or 'Reading or writing failed'}: {reason(error)}."
