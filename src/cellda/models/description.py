"""The description of a saved classifier: everything but its weights, typed, bounded, and with a checksum."""

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import Field, StrictBool, ValidationError, field_validator, model_validator

from cellda.errors import DataError
from cellda.evaluation.calibration import Calibration
from cellda.framing.spec import FramingSpec
from cellda.models.evidence import EvidenceFile
from cellda.models.judged import Ranges
from cellda.models.second_view import Shape
from cellda.models.spec import Backbone
from cellda.normalizers.spec import NormalizerSpec
from cellda.plugins.options import describe
from cellda.plugins.settings import Settings
from cellda.text import plain, shortened

DESCRIPTION = "classifier.json"

FORMAT = 2
"""Of the description; 1 was without hash and checksum."""
MOST_TEXT = 1 << 18
"""Bytes of a description; the largest known one has 2,000."""
Name = Annotated[str, Field(min_length=1, max_length=100, strict=True)]
Text = Annotated[str, Field(min_length=1, max_length=500, strict=True)]


class WeightsFile(Settings):
    """Size and hash of the weights, which are checked before they are used.

    Attributes:
        bytes: Size of the file.
        sha256: Of the file.
    """

    bytes: int = Field(ge=8, strict=True)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Description(Settings):
    """Everything about a classifier but its weights: the content of `classifier.json`.

    Attributes:
        format: Version of this description.
        classes: Class names in index order.
        backbone: The encoder.
        normalizer: The normalizer of the images.
        framing: The part of raw images that is shown to the network.
        head: Name and options of the head.
        registered_by: Head -> the module that registers it, for heads of other packages.
        symmetric: Whether a cell is embedded as the mean over its eight flips and rotations.
        second_view: Sizes of the trees that correct the network's probabilities; None if there are none.
        calibration: How its probabilities are calibrated; None if they are taken as they are.
        weights: Size and hash of the weights; None in folders of format 1.
        seen: What the model has seen in training; None if it is not known.
        evidence: Its labelled cells (`cellda.models.evidence`); None if there are none.
    """

    format: Literal[1, 2]
    classes: tuple[Name, ...] = Field(min_length=2, max_length=1000)
    backbone: Backbone
    normalizer: NormalizerSpec
    framing: FramingSpec
    head: dict[Name, Any]
    registered_by: dict[Name, Text]
    symmetric: StrictBool
    second_view: Shape | None = None
    calibration: Calibration | None = None
    weights: WeightsFile | None
    seen: Ranges | None
    evidence: EvidenceFile | None = None

    @model_validator(mode="before")
    @classmethod
    def _earlier(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "format" in given:
            return given
        # Folders of format 1 lack what did not exist when they were saved.
        first = {"framing": "none", "head": {"name": "mlp"}, "registered_by": {}, "symmetric": False}
        return {**first, **given, "format": 1, "weights": None, "seen": None}

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        odd = [name for name in classes if plain(name) != name or name != name.strip()]
        if odd:
            raise ValueError(f"a class name holds control characters or outer spaces: {odd[0]!r}")
        if len(set(classes)) < len(classes):
            raise ValueError("the class names are not distinct")
        return classes

    @field_validator("head")
    @classmethod
    def _named(cls, head: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(head.get("name"), str) or {"width", "classes"} & head.keys():
            raise ValueError("a head has a name and its own options; width and classes are the classifier's")
        if head["name"] == "present":
            inner, present = head.get("inner"), head.get("present")
            if not isinstance(inner, dict) or not isinstance(present, list):
                raise ValueError(
                    "the head 'present' lists the classes that can occur, and names the head inside it"
                )
            cls._named(inner)
        return head

    @model_validator(mode="after")
    def _existing(self) -> Self:
        if self.head["name"] == "present":
            numbers = range(len(self.classes))
            if not all(type(number) is int and number in numbers for number in self.head["present"]):
                raise ValueError(
                    "the head 'present' lists numbers of classes that the classifier does not have"
                )
        return self

    @property
    def present(self) -> tuple[str, ...] | None:
        """The classes that can occur, if the model rules out others (`cellda.models.heads.present`); None if all can."""
        if self.head["name"] != "present":
            return None
        return tuple(self.classes[number] for number in self.head["present"])

    @property
    def own_head(self) -> dict[str, Any]:
        """Name and options of the head, or of the one inside it whose classes are ruled out."""
        own: dict[str, Any] = self.head["inner"] if self.head["name"] == "present" else self.head
        return own

    @model_validator(mode="after")
    def _calibrated(self) -> Self:
        shifts = () if self.calibration is None else self.calibration.shifts
        if shifts and len(shifts) != len(self.classes):
            raise ValueError("the calibration does not have one shift for each class")
        return self

    @model_validator(mode="after")
    def _hashed(self) -> Self:
        if self.format > 1 and self.weights is None:
            raise ValueError(
                "field 'weights' is empty: without the hash of the weights, damage would go unnoticed"
            )
        return self


def write_description(folder: Path, fields: Mapping[str, Any]) -> None:
    """Write the description of a classifier, given by the fields of `Description` without `format`."""
    described = Description.model_validate({**fields, "format": FORMAT})
    text = json.dumps(sealed(described.model_dump(mode="json")), indent=2)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def read_description(folder: Path) -> Description:
    """The checked description of the classifier in a folder; a warning says if it is of a format without hashes.

    Raises:
        DataError: If the description is damaged or does not describe a classifier.
    """
    content = _content(folder)
    try:
        description = Description.model_validate(content)
    except ValidationError as error:
        said = describe(error, f"the classifier in {folder}", Description.model_fields)
        lines = "\n".join(shortened(line, 300) for line in said.splitlines()[:20])
        refuse(folder, f"{lines}\nIt may need a package that is not installed here, or a newer cellda")
    if description.format == 1:
        warnings.warn(
            f"The classifier in {folder} was saved by an earlier version, without a hash of its weights: damage to them could "
            "go unnoticed. Save it again: CellClassifier.load(folder).save(new_folder).",
            stacklevel=3,
        )
    return description


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a description with its checksum."""
    return {**content, "checksum": _checksum(content)}


def refuse(folder: Path, reason: object) -> NoReturn:
    """Refuse the classifier in a folder.

    Raises:
        DataError: Always.
    """
    said = str(reason).rstrip(".")
    raise DataError(f"The classifier in {folder} could not be read: {said}.")


def _content(folder: Path) -> dict[str, Any]:
    """The fields of a description as plain data, after its checksum was compared."""
    file = folder / DESCRIPTION
    try:
        if file.stat().st_size > MOST_TEXT:
            refuse(folder, f"{DESCRIPTION} has more than {MOST_TEXT >> 10} kB; a description has about 2")
        content = json.loads(
            file.read_text(encoding="utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_number,
            parse_float=_finite,
        )
    except (OSError, ValueError, RecursionError) as error:
        refuse(folder, f"{DESCRIPTION}: {error}")
    if not isinstance(content, dict):
        refuse(folder, f"{DESCRIPTION} holds a {type(content).__name__}, not the fields of a description")
    if "format" in content:
        checksum = content.pop("checksum", None)
        if checksum != _checksum(content):
            refuse(
                folder,
                f"{DESCRIPTION} was changed after it was written, or is damaged (its checksum differs); copy it again, or "
                "save the model again with other settings",
            )
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"the field '{shortened(name, 100)}' is given twice")
        content[name] = value
    return content


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number that a setting can have")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        _no_number(shortened(text, 50))
    return value
