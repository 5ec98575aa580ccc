"""What the name of a file or folder says: its place in an order, whether it is an image, and why it is left out if not."""

import re
from collections.abc import Collection
from functools import cache
from itertools import pairwise

IMAGE_SUFFIXES = frozenset(
    {
        ".apng", ".avif", ".bmp", ".dib", ".gif", ".j2c", ".j2k", ".jfif", ".jif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf",
        ".jpg", ".jpx", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp",
    }
)  # fmt: skip
"""Suffixes of file names that count as images, in lower case."""

HEIF_SUFFIXES = (".heic", ".heif", ".hif")
"""Suffixes of images that only the package pillow-heif reads."""

SCAN_SUFFIXES = frozenset(
    {".bif", ".czi", ".lif", ".mrxs", ".nd2", ".ndpi", ".qptiff", ".scn", ".svs", ".vms", ".vsi"}
)
"""Suffixes of whole slides and of microscopes' own formats."""

TEXT_TABLES = (".csv", ".tsv", ".txt")
PARQUETS = (".parquet", ".pq")
WORKBOOKS = (".xlsx", ".xlsm")
OTHER_TABLES = (".xls", ".xlsb", ".ods", ".numbers")
"""Suffixes of tables that are to be saved in another format first."""

ARCHIVE_SUFFIXES = frozenset({".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip"})

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SPLITS = re.compile(
    r"(train|test|valid|fold|split|holdout|heldout).*|evaluation|(val|dev|eval|trn|tst)(set|data)?",
    re.IGNORECASE,
)
"""Words for the parts into which a dataset is divided for training and testing: `train`, `testing`, `trainset`, `val`."""

_MASKS = re.compile(r"(.*[^a-z])?masks?|annotations?|ground[ _-]?truths?|gt|overlays?", re.IGNORECASE)

_CONTAINERS = re.compile(
    r"images?|imgs?|pics?|pictures?|photos?|crops?|cells?|data|raw|originals?|bilder|fotos?|im[aá]genes|png|jpe?g|bmp|tiff?",
    re.IGNORECASE,
)
_COMPANION = re.compile(
    r"(.+?)[ ._-]+(masks?|seg|segmentation|labels?|labeled|gt|overlay|annotated|thumb|thumbnail)",
    re.IGNORECASE,
)
_COPY = re.compile(r"(.+?)( \(\d+\)|( ?- ?|_| )(copy|kopie|copie|copia)( ?\(\d+\)| \d+)?)", re.IGNORECASE)

_TWO_WORDS = ("holdout", "heldout")

_SYSTEM_FOLDERS = re.compile(
    r"__MACOSX|@eaDir|@Recycle|@Recently-Snapshot|#recycle|#snapshot|\$RECYCLE\.BIN|RECYCLER|System Volume Information"
    r"|lost\+found|~snapshot|_gsdata_|[_~]?thumb(s|nails?)?|backups?|bak|\.@__thumb|\.AppleDouble|\.Trash.*|\.Trashes|\.thumbnails|\.fseventsd|\.Spotlight-V100",
    re.IGNORECASE,
)
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", ".ds_store"})

_DIGITS = re.compile(r"\d+", re.ASCII)


def natural(name: str) -> tuple[str, str]:
    """Sort key that compares numbers: `2.jpg` before `10.jpg`."""
    return _DIGITS.sub(_measured, name.lower()), name


def _measured(digits: "re.Match[str]") -> str:
    """Digits behind their number, so that texts compare like numbers of any length, and before all other characters."""
    number = digits[0].lstrip("0")
    length = len(number)
    return (chr(length) if length < 31 else f"\x1f{length:09}") + number


def suffix(name: str) -> str:
    """The suffix of a file name, in lower case."""
    # As `os.path.splitext` has it, in half the time: a Path for each name costs a second on 170,000 files.
    stem, dot, end = name.rpartition(".")
    return dot + end.lower() if stem.strip(".") else ""


def is_image(name: str) -> bool:
    """Whether a file name denotes a visible image that can be read here; `.DS_169665.jpg` does not."""
    if name.startswith("."):
        return False
    end = suffix(name)
    return end in IMAGE_SUFFIXES or (end in HEIF_SUFFIXES and reads_heif())


def is_system_folder(name: str) -> bool:
    """Whether a folder is one that systems and network drives keep for thumbnails or deleted files, or one of backups."""
    return _SYSTEM_FOLDERS.fullmatch(name) is not None


def is_container(name: str) -> bool:
    """Whether a folder's name says only that it holds images: `images`, `raw`, `Bilder`."""
    return _CONTAINERS.fullmatch(name) is not None


def companions(names: Collection[str]) -> list[str]:
    """Those of the images in a folder that are masks, drawings or thumbnails of others, by their names.

    >>> companions(["c0.png", "c0_mask.png", "c1_mask.png"])
    ['c0_mask.png']
    """
    return _derived(names, _COMPANION)


def copies(names: Collection[str]) -> list[str]:
    """Those of the images in a folder that seem to be copies of others, by their names: `c0 (1).png`, `c0 - Copy.png`."""
    return _derived(names, _COPY)


def _derived(names: Collection[str], mark: "re.Pattern[str]") -> list[str]:
    stems = {name.rpartition(".")[0].lower() for name in names}
    found = ((name, mark.fullmatch(name.rpartition(".")[0])) for name in names)
    return [name for name, parts in found if parts is not None and parts[1].lower() in stems]


def is_mask_folder(name: str) -> bool:
    """Whether a folder holds masks or drawings of the images next to it, by its name."""
    return _MASKS.fullmatch(name) is not None


@cache
def is_split(name: str) -> bool:
    """Whether a folder is a part of a dataset that was divided for training and testing, by any word of its name.

    >>> [is_split(name) for name in ("set_train", "TestB", "fold3", "hold-out", "strain 2", "Valerie")]
    [True, True, True, True, False, False]
    """
    words = _WORDS.findall(name)
    pairs = ("".join(pair) for pair in pairwise(words))  # hold-out, held_out
    return any(map(_SPLITS.fullmatch, words)) or any(pair.lower() in _TWO_WORDS for pair in pairs)


def is_table(name: str) -> bool:
    """Whether a file name denotes a table of rows, which may have to be saved in another format first."""
    return suffix(name) in (*TEXT_TABLES, *PARQUETS, *WORKBOOKS, *OTHER_TABLES)


def is_archive(name: str) -> bool:
    """Whether a file name denotes a packed archive."""
    return suffix(name) in ARCHIVE_SUFFIXES


@cache
def reads_heif() -> bool:
    """Whether HEIC images can be read: the package pillow-heif is installed, and is then made known to Pillow."""
    try:
        import pillow_heif  # not a dependency of cellda
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def why_left_out(name: str) -> tuple[str, str]:
    """Why a file is not one of a dataset's cells: what it is, in words that follow a number, and its kind."""
    end = suffix(name)
    if name.lower() in _SYSTEM_FILES:
        return "file(s) of thumbnails or settings that systems keep", name
    if name.startswith("."):
        return "hidden file(s)", ""
    if is_image(name):
        return "image(s) outside the layout", ""
    if end in HEIF_SUFFIXES:
        return "HEIC image(s), for which the package pillow-heif is needed (pip install 'cellda[heif]')", end
    if end in SCAN_SUFFIXES:
        return "whole slide(s) or file(s) of a microscope's own format: export the cells as PNG or TIFF", end
    return "file(s) without the suffix of an image", end or "no suffix"
