"""Read arrays in compressed npz files row by row, without holding an array in memory."""

import weakref
import zipfile
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from cellda.errors import DataError

_PIECE = 1 << 20
_DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


class NpzRows:
    """One array of an npz file, read by rows.

    numpy cannot memory-map a compressed array and would read it as a whole, which takes gigabytes if it holds
    images. Reading rows in increasing order is cheap; going back restarts the decompression.

    Args:
        file: The npz file.
        name: Name of the array.

    Raises:
        DataError: If the file is not an npz file or lacks the array.
    """

    def __init__(self, file: Path, name: str) -> None:
        self.file = file
        self.name = name
        try:
            with self._open() as stream:
                version = np.lib.format.read_magic(stream)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                self.shape, column_major, self.dtype = read(stream)
                self._start = stream.tell()
        except _DAMAGE as error:
            raise DataError(f"The array {name} of {file} cannot be read: {error}.") from error
        if column_major or self.dtype.hasobject:
            raise DataError(f"The array {name} of {file} is not stored row by row.")

    def __len__(self) -> int:
        return int(self.shape[0])

    def read(self, rows: Sequence[int]) -> npt.NDArray[Any]:
        """`(len(rows), ...)` the requested rows, in the given order.

        Raises:
            DataError: If the file is damaged there.
        """
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        length = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        try:
            for place in np.argsort(rows, kind="stable"):
                self._stream.seek(self._start + int(rows[place]) * length)
                held = self._stream.read(length)
                if len(held) != length:
                    raise EOFError("it ends early")
                out[place] = np.frombuffer(held, self.dtype).reshape(self.shape[1:])
        except _DAMAGE as error:
            if (broken := self.__dict__.pop("_stream", None)) is not None:
                broken.close()
            raise self._damaged(error) from error
        return out

    def verify(self) -> None:
        """Read the whole array and compare its checksum.

        Raises:
            DataError: If the file is damaged in it.
        """
        try:
            with self._open() as stream:
                while stream.read(_PIECE):
                    pass
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"The array {self.name} of {self.file} is damaged: {error}.")

    @cached_property
    def _stream(self) -> IO[bytes]:
        """Stays open at the row after the last one read."""
        stream = self._open()
        weakref.finalize(self, stream.close)
        return stream

    def _open(self) -> IO[bytes]:
        with zipfile.ZipFile(self.file) as archive:
            return archive.open(f"{self.name}.npy")
