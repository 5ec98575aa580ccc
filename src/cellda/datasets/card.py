"""The data card of a dataset: where its cells come from and what the paper counts in it."""

from typing import ClassVar, Final

from cellda.datasets import registry

NOT_STATED: Final = "not stated"


class DataCard:
    """What is known of a dataset without reading it; every `CellDataset` is one.

    Centre, imaging, magnification, specimen and patients are those of the paper's Table A.1; what it leaves
    empty is "not stated". Loaders state them as literals, so that cards are read without importing the loaders.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    """Name in print, as in the paper's Table 1."""
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
    """Images of all classes in the paper's Table 1; None where it does not list the dataset."""
    published_counts: ClassVar[dict[str, int] | None] = None
    """Cells of each class in the paper's Table 2; None where the paper has none."""
    few_shot: ClassVar[int | None] = None
    """Number of fine-tuning images in the paper's Table 3; None where the paper has none."""
    note: ClassVar[str] = ""
    """What a reader of the counts must know: why they differ from the paper's, a few sentences."""
    same_cells_as: ClassVar[tuple[str, ...]] = ()
    """Datasets that show the very same cells in other files, so that one must not be tested on the other; the set
    itself where its variants do."""
    drawn: ClassVar[bool] = False
    """Whether images are drawn by the loader instead of read from a folder."""

    @classmethod
    def shares_cells_with(cls, other: "type[DataCard]") -> bool:
        """Whether one of the two names the other as the same cells."""
        return other.name in cls.same_cells_as or cls.name in other.same_cells_as


def card(name: str) -> type[DataCard]:
    """The data card of a registered dataset; a built-in loader is not imported for it.

    Raises:
        UnknownNameError: If no dataset has this name.
    """
    literals = registry.literals(name)
    return registry.get(name) if literals is None else type(name, (DataCard,), {"name": name, **literals})
