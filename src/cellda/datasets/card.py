"""The data card of a dataset: where its cells come from and how many the paper counts."""

from typing import ClassVar, Final

from cellda.datasets import registry

NOT_STATED: Final = "not stated"


class DataCard:
    """What is known about a dataset without reading it; every `CellDataset` is one.

    Centre, imaging, magnification, specimen and patients are taken from the paper's Table A.1; what it leaves
    empty is "not stated". Loaders state them as literals, so that cards are read without importing the loaders.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    """Display name, as in the paper's Table 1."""
    centre: ClassVar[str] = NOT_STATED
    """Hospital or company that the cells come from."""
    imaging: ClassVar[str] = NOT_STATED
    """Scanner, or microscope and camera, and the file format that the paper names."""
    magnification: ClassVar[str] = NOT_STATED
    """Magnification and size of the images, as the paper prints them."""
    specimen: ClassVar[str] = NOT_STATED
    """`"blood smear"` or `"bone marrow smear"`."""
    patients: ClassVar[str] = NOT_STATED
    """`"healthy"`, `"pathological"` or `"healthy and pathological"`."""
    licence: ClassVar[str] = NOT_STATED
    """Terms under which the images were published."""
    citation: ClassVar[str] = NOT_STATED
    """Whom to cite, in short."""
    url: ClassVar[str] = NOT_STATED
    """Where the images are published."""
    published_images: ClassVar[int | None] = None
    """Images of all classes in the paper's Table 1; None if it does not list the dataset."""
    published_counts: ClassVar[dict[str, int] | None] = None
    """Cells of each class in the paper's Table 2; None if the table does not list the dataset."""
    few_shot: ClassVar[int | None] = None
    """Number of fine-tuning images in the paper's Table 3; None if the table does not list the dataset."""
    note: ClassVar[str] = ""
    """What a reader of the counts needs to know: why they differ from the paper's, in a few sentences."""
    same_cells_as: ClassVar[tuple[str, ...]] = ()
    """Datasets that show the very same cells in other files, so that a model of one must not be tested on the other;
    includes the dataset itself if its variants show the same cells."""
    synthetic: ClassVar[bool] = False
    """Whether the loader renders its images (synthetic cells) instead of reading them from a folder."""
    one_scale: ClassVar[bool] = True
    """Whether all images have one magnification, so that a framing may learn how large a cell is from all of them."""
    sharp: ClassVar[bool] = False
    """Whether its images are sharper than those of most laboratories, so that training on it lowers their resolution by
    default (`degrade` of a source)."""

    @property
    def is_published(self) -> bool:
        """Whether the images are published, so that everybody who uses them has the same."""
        return self.url != NOT_STATED

    @classmethod
    def shares_cells_with(cls, other: "type[DataCard]") -> bool:
        """Whether either of the two lists the other as showing the same cells."""
        return other.name in cls.same_cells_as or cls.name in other.same_cells_as


def card(name: str) -> type[DataCard]:
    """The data card of a registered dataset, without importing a built-in loader.

    Raises:
        UnknownNameError: If no dataset has this name.
    """
    literals = registry.literals(name)
    return registry.get(name) if literals is None else type(name, (DataCard,), {"name": name, **literals})
