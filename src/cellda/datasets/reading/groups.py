"""Names of groups of cells: which columns hold them, and which names may be two spellings of one."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

WORDS = (
    "patient", "paciente", "slide", "objektträger", "portaobjetos", "smear", "ausstrich", "frottis", "frotis", "case", "fall",
    "cas", "caso", "subject", "sujet", "sujeto", "donor", "spender", "donneur", "donante", "proband", "individual",
    "participant", "person", "animal", "specimen", "präparat", "sample", "probe", "échantillon", "muestra", "film", "field",
    "photograph", "pid", "mrn", "accession", "study", "visit", "barcode", "wsi", "scan", "groups", "source image", "image id",
)  # fmt: skip
"""Words in names of columns, and whole names, for what cells belong to, the coarsest first; also German, French, Spanish."""

_LONG = 5
"""Letters from which on a word may go on: `patientennummer`, `slideid`."""

MANY = 10
"""Cells from which on it is doubted that each is of another patient."""

_WHOLE = re.compile(r"(\d+)\.0+")
_TOKENS = re.compile(r"\d+|[^\W\d_]+")


def grouping(columns: Sequence[str]) -> list[str]:
    """Names of columns that may say which cells belong together, the coarsest first.

    >>> grouping(["remark", "Slide No.", "PatientID", "showcase"])
    ['PatientID', 'Slide No.']
    """
    parts = {name: re.split(r"[\W_]+", unicodedata.normalize("NFC", name.lower())) for name in columns}
    return list(
        dict.fromkeys(
            name
            for word in WORDS
            for name, found in parts.items()
            if " ".join(found) == word
            or any(one == word or (len(word) >= _LONG and one.startswith(word)) for one in found)
        )
    )


def each_its_own(cells: Mapping[str, int]) -> bool:
    """Whether groups say nothing: there are many, and each holds one cell.

    Args:
        cells: Number of cells of each group.
    """
    return len(cells) >= MANY and max(cells.values()) == 1


def alike(names: Iterable[str]) -> list[list[str]]:
    """Sets of different names that are equal but for case, separators, leading zeros and the decimals of whole numbers.

    >>> alike(["P1", "p-01", "P2", "7", "7.0"])
    [['P1', 'p-01'], ['7', '7.0']]
    """
    spellings: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        whole = _WHOLE.fullmatch(name)
        tokens = _TOKENS.findall(unicodedata.normalize("NFKC", whole[1] if whole else name).casefold())
        spellings[tuple(one.lstrip("0") or "0" if one.isdigit() else one for one in tokens)].append(name)
    return [found for tokens, found in spellings.items() if tokens and len(found) > 1]
