"""Seeded mutations of files: what a disk, a transfer, a spreadsheet or another program makes of them."""

import random
import re
from collections.abc import Callable

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
VALUES = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1",
        "2.5",
        "1e999",
        "-0.0",
        "nan",
        "inf",
        "true",
        "no",
        "null",
        "~",
        "0x10",
        "1_000",
    ),
    *(
        "9" * 5_000,
        "x" * 100_000,
        "=1+1",
        "@SUM(A1)",
        "12:30:45",
        "..",
        "../../etc/passwd",
        "/dev/zero",
        "a\\b",
    ),
    *(
        "[" * 2_000,
        "{a: " * 200,
        "!!python/object/apply:os.system [ls]",
        "&a [*a]",
        "{}",
        "[]",
        "C:\\cells\\1.png",
    ),
    *("\x00", "\x1b[31m", "\u202e", "é", "细胞", "'", '"'),
)
"""Texts that stand where a name, a number or a path is expected."""


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Bytes after one to three accidents: bits that flip, parts that are lost, repeated or zeroed, numbers at their limits."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        content = chance.choice(BYTES)(content, chance)
    return content


def mutated_text(content: str, chance: random.Random) -> bytes:
    """A text after one to three edits of its words, values and lines, in one of the encodings that programs write."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        content = chance.choice(TEXT)(content, chance)
    encoding = chance.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"))
    return content.encode(encoding, "replace")


def _place(content: bytes, chance: random.Random, longest: int = 64) -> slice:
    start = chance.randrange(len(content) + 1)
    return slice(start, start + chance.randint(1, longest))


def _flip(content: bytes, chance: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        if out:
            out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def _truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _zero(content: bytes, chance: random.Random) -> bytes:
    part = _place(content, chance)
    return content[: part.start] + bytes(len(content[part])) + content[part.stop :]


def _zero_end(content: bytes, chance: random.Random) -> bytes:
    kept = chance.randrange(len(content) + 1)
    return content[:kept] + bytes(len(content) - kept)


def _lose(content: bytes, chance: random.Random) -> bytes:
    part = _place(content, chance)
    return content[: part.start] + content[part.stop :]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    part = _place(content, chance)
    return content[: part.stop] + content[part] * chance.randint(1, 3) + content[part.stop :]


def _insert(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.randbytes(chance.randint(1, 64)) + content[at:]


def _number(content: bytes, chance: random.Random) -> bytes:
    """A field of the header, or of anywhere, at one of its limits."""
    length, order = chance.choice((1, 2, 4)), chance.choice(("little", "big"))
    reach = min(len(content), chance.choice((64, 512, len(content))))
    at = chance.randrange(reach + 1)
    value = (chance.choice(EXTREMES) & ((1 << 8 * length) - 1)).to_bytes(length, order)
    return content[:at] + value + content[at + length :]


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip, _flip, _truncate, _zero, _zero_end, _lose, _repeat, _insert, _number, _number),
)


def _lines(edit: Callable[[list[str], random.Random], None]) -> Callable[[str, random.Random], str]:
    def apply(content: str, chance: random.Random) -> str:
        lines = content.split("\n")
        edit(lines, chance)
        return "\n".join(lines)

    return apply


def _drop_line(lines: list[str], chance: random.Random) -> None:
    lines.pop(chance.randrange(len(lines)))


def _repeat_line(lines: list[str], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))


def _swap_lines(lines: list[str], chance: random.Random) -> None:
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _word(content: str, chance: random.Random) -> str:
    """A word or number replaced by one of `VALUES`."""
    words = list(re.finditer(r"[^\s,;:{}\[\]]+", content))
    if not words:
        return chance.choice(VALUES)
    word = chance.choice(words)
    return content[: word.start()] + chance.choice(VALUES) + content[word.end() :]


def _typo(content: str, chance: random.Random) -> str:
    at = chance.randrange(len(content) + 1)
    return (
        content[:at]
        + chance.choice(("", "x", " ", ",", ";", "\t", ":", "-", "\n", '"', "A"))
        + content[at + 1 :]
    )


def _case(content: str, chance: random.Random) -> str:
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at : at + 12].swapcase() + content[at + 12 :]


def _separator(content: str, chance: random.Random) -> str:
    return content.replace(",", chance.choice((";", "\t", "|", ", ", " ")))


def _ends(content: str, chance: random.Random) -> str:
    return content.replace("\n", chance.choice(("\r\n", "\r", "\n\n")))


TEXT: tuple[Callable[[str, random.Random], str], ...] = (
    *(_word, _word, _word, _typo, _typo, _case, _separator, _ends),
    *map(_lines, (_drop_line, _repeat_line, _swap_lines)),
)
