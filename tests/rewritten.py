"""Files of cellda that keys read as if they had changed, while the files stay as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cellda.plugins.code_digest import PACKAGE, forget


@contextmanager
def rewritten(file: str) -> Iterator[None]:
    """Within it, a file of cellda is read with one more line, as a process would that starts after an edit.

    Args:
        file: Its path in the package, such as `"training/loop.py"`.
    """
    place, read = PACKAGE / file, Path.read_bytes
    assert place.is_file(), file
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda self: read(self) + b"\n# another line\n" * (self == place))
        forget()
        try:
            yield
        finally:
            forget()
