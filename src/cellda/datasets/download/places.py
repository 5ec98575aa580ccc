"""Where each dataset is published: what can be downloaded, and what to do by hand for the rest."""

from dataclasses import dataclass
from pathlib import Path

from cellda.errors import UnknownNameError, nearest


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file that is used without unpacking.

    Attributes:
        url: The address of the file.
        file: Its name on disk.
        page: The page where a person finds it if `url` fails.
        known_hash: Its published checksum, `"md5:..."` or `"sha256:..."`; None where none is published.
    """

    url: str
    file: str
    page: str
    known_hash: str | None = None

    def result(self, folder: Path) -> Path:
        """The file that exists once the dataset's `folder` has been fetched."""
        return folder / self.file

    def by_hand(self, folder: Path) -> str:
        """What the user can do if the download fails."""
        return f"or download it by hand from {self.page} to {folder / self.file}"


@dataclass(frozen=True, kw_only=True)
class Archive(Download):
    """A zip or tar file that is unpacked.

    Attributes:
        inner: An archive that may lie in it and holds the images.
    """

    inner: str | None = None

    def result(self, folder: Path) -> Path:
        """The folder itself, which is filled in one step."""
        return folder

    def by_hand(self, folder: Path) -> str:
        """What the user can do if the download fails."""
        return f"or download it by hand from {self.page} and unpack it in {folder}"


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """A dataset that a person must get: through a form, an account, a publisher's program or a letter.

    Attributes:
        why: Why cellda cannot fetch it, to follow "because".
        steps: What to do, one line each.
        holds: What the dataset's folder holds afterwards.
    """

    why: str
    steps: tuple[str, ...]
    holds: str

    def result(self, folder: Path) -> Path:
        """The folder itself, once the user has filled it."""
        return folder


Place = Download | ByHand

_ZHENG = Archive(
    url="https://github.com/zxaoyou/segmentation_WBC/archive/refs/heads/master.zip",
    file="segmentation_WBC-master.zip",
    page="https://github.com/zxaoyou/segmentation_WBC",
)

# Sides in pixels, and the MD5 sums that the PyPI package `medmnist` 3.0.2 lists.
_BLOODMNIST = {
    28: ("bloodmnist.npz", "7053d0359d879ad8a5505303e11de1dc"),
    64: ("bloodmnist_64.npz", "2b94928a2ae4916078ca51e05b6b800b"),
    128: ("bloodmnist_128.npz", "adace1e0ed228fccda1f39692059dd4c"),
    224: ("bloodmnist_224.npz", "b718ff6835fcbdb22ba9eacccd7b2601"),
}


def _bloodmnist(side: int) -> Download:
    published, md5 = _BLOODMNIST[side]
    return Download(
        url=f"https://zenodo.org/records/10519652/files/{published}?download=1",
        file=f"bloodmnist_{side}.npz",
        page="https://zenodo.org/records/10519652",
        known_hash=f"md5:{md5}",
    )


PUBLISHED: dict[str, Place] = {
    "barcelona": Archive(
        # (unsure) The file's address on Mendeley Data, not its documented interface. Older copies of the
        # download wrapped the archive in another one; `inner` is for those.
        url="https://data.mendeley.com/public-files/datasets/snkd93bnjr/files/"
        "2fc38728-2ae7-4a62-a857-032af82334c3/file_downloaded",
        file="PBC_dataset_normal_DIB.download.zip",
        page="https://data.mendeley.com/datasets/snkd93bnjr/1",
        inner="PBC_dataset_normal_DIB.zip",
    ),
    "bloodmnist": _bloodmnist(224),
    **{f"bloodmnist/{side}": _bloodmnist(side) for side in _BLOODMNIST},
    "jin_woo_choi": Archive(
        # A commit, so that the file cannot change.
        url="https://raw.githubusercontent.com/JinwooChoi9/wbc_plosone/50bf21e4fef41585371ddce68025e99d64f93adf/"
        "data_WBC_torch.zip",
        file="data_WBC_torch.zip",
        page="https://github.com/JinwooChoi9/wbc_plosone",
    ),
    "jiangxi_tecom": _ZHENG,
    "cellavision_blog": _ZHENG,
    "munich_2019": ByHand(
        why="The Cancer Imaging Archive hands it out through its own page and programs",
        steps=(
            "open https://doi.org/10.7937/tcia.2019.36f5o9ld (AML-Cytomorphology_LMU)",
            "download the images (all 18,365, tiff) with the program that the page names",
        ),
        holds="AML-Cytomorphology_LMU with its folders BAS, EBO, EOS, ...",
    ),
    "munich_2021": ByHand(
        why="The Cancer Imaging Archive hands it out through its own page and programs",
        steps=(
            "open https://doi.org/10.7937/TCIA.AXH3-T579 (Bone-Marrow-Cytomorphology)",
            "download the images (all 171,373, jpg) with the program that the page names",
        ),
        holds="BM_cytomorphology_data with its folders ABE, ART, BAS, ...",
    ),
    "raabin": ByHand(
        why="its publisher serves it from a page of its own, in parts",
        steps=(
            "open https://raabindata.com/free-data/ (double-labelled cropped cells)",
            "download and unpack Train, TestA and TestB",
        ),
        holds="Train, TestA and TestB",
    ),
    "lisc": ByHand(
        why="it may not be redistributed and lies on its first author's page",
        steps=(
            # (unsure) The page has moved before.
            "open http://users.cecs.anu.edu.au/~hrezatofighi/Data/Leukocyte%20Data.htm",
            "download and unpack the LISC database, with its ground truth",
        ),
        holds="'LISC Database' with 'Main Dataset' and 'Ground Truth Segmentation'",
    ),
    "jslh": ByHand(
        why="its images are shown on web pages only",
        steps=(
            "open the cell atlas of jslh-cs.com",
            "save each cell as png, about 85 x 74 pixels, in a folder named after its class",
        ),
        holds="a folder for each class: 'band neutrophil', 'basophilic erythroblast', ...",
    ),
    "bccd": ByHand(
        why="Kaggle asks for an account",
        steps=(
            "get a Kaggle account and its program: pip install kaggle",
            "kaggle datasets download -d paultimothymooney/blood-cells",
            "unpack blood-cells.zip",
        ),
        holds="dataset2-master with images/TRAIN and images/TEST",
    ),
    "tianjin": ByHand(
        why="its authors send it on request",
        steps=("write to the authors of Scientific Reports 13:2160 (2023)",),
        holds="the smear images with their boxes, or the cropped cells in a folder for each class",
    ),
}
"""Registered name, with the variant where there are several -> where its images are published."""


def place(name: str) -> Place:
    """Where the images of dataset `name` are published.

    Raises:
        UnknownNameError: If no place is known; the message suggests the nearest names.
    """
    if name not in PUBLISHED:
        raise UnknownNameError(f"No dataset '{name}' is known to be published; {nearest(name, PUBLISHED)}")
    return PUBLISHED[name]
