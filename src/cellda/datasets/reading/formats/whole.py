"""Pillow as it is by default: images of which bytes are missing are refused, whatever other libraries have chosen."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from PIL import ImageFile


class _Strict:
    """Counts who needs it, in all threads; the first remembers the setting, the last puts it back."""

    def __init__(self) -> None:
        self.lock, self.users, self.before = Lock(), 0, False

    def enter(self) -> None:
        with self.lock:
            if not self.users:
                self.before = ImageFile.LOAD_TRUNCATED_IMAGES
                ImageFile.LOAD_TRUNCATED_IMAGES = False
            self.users += 1

    def leave(self) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                ImageFile.LOAD_TRUNCATED_IMAGES = self.before


_STRICT = _Strict()


@contextmanager
def whole_images() -> Iterator[None]:
    """Within it, Pillow fills up no missing rows of truncated images, though WeasyPrint, for one, tells it to everywhere."""
    _STRICT.enter()
    try:
        yield
    finally:
        _STRICT.leave()
