"""Read text files as editors, spreadsheets and other systems write them."""

import codecs
from pathlib import Path

from cellda.errors import DataError

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SAMPLE = 1000
_PACKED = {
    b"PK\x03\x04": "is an Excel workbook or another packed file: end its name in .xlsx, or save it as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "is a workbook of an old Excel: save it as .xlsx, or as CSV UTF-8",
    b"PAR1": "is Parquet: end its name in .parquet",
}
"""What files begin with that are given the name of a text, and what they are."""


def refuse_packed(file: Path) -> None:
    """Refuse a workbook or Parquet file with the name of a text.

    Raises:
        DataError: If it is one.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(4)
    except OSError:  # the reader says why
        return
    if start in _PACKED:
        raise DataError(f"The file {file} is not text; it {_PACKED[start]}.")


def read_text(file: Path) -> tuple[str, str]:
    """The text of a file, and what it was read as: "" for UTF-8, else the encoding, with the reason if that was guessed.

    UTF-8, and UTF-16 and UTF-32 with their marks, are certain. UTF-16 without a mark is recognised by its zero bytes; what is
    not UTF-8 is read as cp1252, the code page of Windows in Western Europe and America.

    Raises:
        DataError: If the file cannot be read, or is not text.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"The file {file} cannot be read: {error.strerror or error}.") from None
    marked = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), None)
    wide = None if marked else _wide(content[:_SAMPLE])
    try:
        text, encoding = _decoded(content, marked or wide or "utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"The file {file} is not text in UTF-8 or cp1252; save it as UTF-8.") from None
    if "\0" in text:
        raise DataError(f"The file {file} is not text: it holds zero bytes; save it as UTF-8.")
    return text, f"{encoding}, which was guessed from its zero bytes" if wide else encoding


def _decoded(content: bytes, encoding: str) -> tuple[str, str]:
    """The text, and what it was read as: "" for UTF-8."""
    try:
        return content.decode(encoding), encoding.replace("utf-8-sig", "").upper()
    except UnicodeDecodeError:
        if encoding != "utf-8-sig":
            raise
    return content.decode("cp1252"), "cp1252 (Windows), because it is not UTF-8"


def _wide(sample: bytes) -> str | None:
    """UTF-16 by the zero bytes of its Latin letters; None if it is not."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < len(sample) // 5 or min(even, odd) > len(sample) // 50:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"
