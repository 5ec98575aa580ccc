"""Locks that are objects of a bucket.

The object is created only if there is none. Two processes that take over the same silent one are kept apart by a second
object. What a lock cannot promise, because an object cannot be kept open, the bucket does: a result is stored only if there is
none.
"""

from contextlib import suppress

from cellda.errors import CelldaError
from cellda.runtime.storage.bucket import Bucket
from cellda.runtime.storage.lease import Found, Mark, Site, content, new_token


class ObjectSite(Site):
    """An object that only one process can create.

    Args:
        bucket: The bucket.
        name: Of the object.
    """

    poll = 1.0

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self._object, self._guard = bucket, name, f"{name}.taking"
        self.name = name.rpartition("/")[2].partition(".")[0]

    def create(self) -> "ObjectMark | None":
        """A new lock; None if there is one."""
        token = new_token()
        made = self._bucket.create(self._object, content(token))
        return ObjectMark(self._bucket, self._object, token) if made else None

    def read(self) -> Found | None:
        """What lies there now."""
        found = self._bucket.read(self._object)
        return None if found is None else Found(found, None)  # it holds who it is from the first moment on

    def replace(self) -> "ObjectMark":
        """Put an own lock in the place of the one that lies there."""
        token = new_token()
        self._bucket.write(self._object, content(token))
        return ObjectMark(self._bucket, self._object, token)

    def guard(self) -> bool:
        """Create what keeps two takeovers apart; whether it was not there."""
        return self._bucket.create(self._guard, b"")

    def unguard(self) -> None:
        """Remove what keeps two takeovers apart."""
        self._bucket.remove(self._guard)

    def silence(self) -> float:
        """Seconds since the last heartbeat, both by the bucket's clock."""
        found = self._bucket.changed(self._object)
        return float("inf") if found is None else self._bucket.now() - found


class ObjectMark(Mark):
    """A lock object of this process.

    Args:
        bucket: The bucket.
        name: Of the object.
        token: Tells it apart from all others.
    """

    def __init__(self, bucket: Bucket, name: str, token: str) -> None:
        self._bucket, self._object, self._token = bucket, name, token

    @property
    def stands(self) -> bool:
        """Whether no other process has taken it over."""
        found = self._bucket.read(self._object)
        return found is not None and self._token.encode() in found

    def beat(self, count: int) -> None:
        """Write the counter."""
        with suppress(CelldaError):  # the bucket is away for a moment
            if self.stands:
                self._bucket.write(self._object, content(self._token, count))

    def remove(self) -> None:
        """Let others have it, if it stands."""
        with suppress(CelldaError):
            if self.stands:
                self._bucket.remove(self._object)
