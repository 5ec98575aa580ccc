"""The folder of a saved classifier: weights, and a description that says what they belong to. Everything in it is checked.

The description is typed and bounded, and holds the hash of the weights and its own checksum. Names, shapes and types of the
tensors are compared before memory is taken for them. A damaged folder is refused with what is wrong in it. Tensors of single
precision may be stored in half precision; they are read in the model's own type.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load
from torch import Tensor
from xxhash import xxh3_128

from cellda.errors import ConfigurationError, DataError
from cellda.evaluation.predictions import EVIDENCE
from cellda.models.description import (
    DESCRIPTION,
    Description,
    WeightsFile,
    read_description,
    refuse,
    write_description,
)
from cellda.models.evidence import Evidence
from cellda.models.evidence import layout as evidence_layout
from cellda.models.judged import Gaussians, Seen
from cellda.runtime.file_hash import sha256_of
from cellda.runtime.place import written
from cellda.runtime.tensor_file import write_tensors
from cellda.text import shortened

WEIGHTS = "model.safetensors"
WHITENING, CENTRES = "seen.whitening", "seen.centres"
"""The Gaussians of training cells (`cellda.models.judged`), among the weights."""

MOST_HEADER = 1 << 24
"""Bytes of the header of a weights file; a network of 1,000 tensors has 100,000."""
NAMED = 5
"""Tensors that a message names."""


def write(
    folder: Path,
    fields: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    seen: Seen | None,
    evidence: Evidence | None = None,
) -> None:
    """Write the weights and their description.

    Args:
        folder: It is created if it does not exist.
        fields: The fields of `Description`, without `format`, `weights`, `seen` and `evidence`.
        tensors: The weights.
        seen: What the model has seen; None if it is not known.
        evidence: What is known of how good it is; None if nothing is.

    Raises:
        ConfigurationError: If weights are not finite.
    """
    wrong = unsound(tensors)
    if wrong:
        raise ConfigurationError(
            f"This model cannot be saved, because its training diverged: {_listed(wrong)}. Try a lower learning rate."
        )
    folder.mkdir(parents=True, exist_ok=True)
    held = {**_held(tensors, seen), **({} if evidence is None else evidence.tensors)}
    known: dict[str, Any] = {}
    if evidence is None:
        (folder / EVIDENCE).unlink(missing_ok=True)  # of another model that was here
    else:
        known = {"evidence": evidence.write(folder).model_dump(mode="json")}
    with written(folder / WEIGHTS) as part:
        write_tensors(held, part)
        weights = {"bytes": part.stat().st_size, "sha256": sha256_of(part)}
    write_description(folder, {**fields, "weights": weights, "seen": _ranges(seen), **known})


def identity(fields: Mapping[str, Any], tensors: Mapping[str, Tensor], seen: Seen | None) -> str:
    """Hash of a classifier as it is in memory; the arguments are those of `write`."""
    text = json.dumps({**fields, "seen": _ranges(seen)}, sort_keys=True)
    content = xxh3_128(text.encode())
    for name, value in sorted(_held(tensors, seen).items()):
        content.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        content.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return content.hexdigest()


def described(folder: Path) -> tuple[Path, Description]:
    """The folder of a classifier, which may be the `model` of a run's folder, and its checked description.

    Raises:
        DataError: If files are missing, or the description is damaged or does not describe a classifier.
    """
    inner = folder / "model"
    place = inner if inner.is_dir() and not (folder / DESCRIPTION).exists() else folder
    missing = [str(place / name) for name in (DESCRIPTION, WEIGHTS) if not (place / name).is_file()]
    if missing:
        raise DataError(f"{folder} does not hold a saved classifier; these files are missing:", missing)
    return place, read_description(place)


def folder_digest(folder: Path) -> str:
    """Hash of a saved classifier: of its description, which holds the hash of its weights, and of the weights if it does not.

    It takes no reading of the weights; that these are the described ones is checked when they are read.
    """
    place, description = described(folder)
    weights = sha256_of(place / WEIGHTS) if description.weights is None else ""
    return hashlib.sha256(f"{sha256_of(place / DESCRIPTION)} {weights}".encode()).hexdigest()[:16]


def read_weights(
    folder: Path, description: Description, layout: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], Seen | None, Evidence | None]:
    """The weights of the classifier in a folder, what it has seen, and what is known of how good it is.

    Args:
        folder: The folder.
        description: What its description says.
        layout: The tensors of such a model, without values (on the `meta` device).

    Raises:
        DataError: If the file is damaged or belongs to another model, or values are not those of a trained model.
    """
    ranges, width = description.seen, description.backbone.embedding
    if description.evidence is not None:
        layout = {**layout, **evidence_layout(description.evidence, width)}
    if ranges is not None:
        sizes = {WHITENING: width, CENTRES: ranges.centres}
        layout = {**layout} | {name: torch.empty(rows, width, device="meta") for name, rows in sizes.items()}
    _check_header(folder, layout)
    content = load(_content(folder, description.weights))
    tensors = {name: value.to(layout[name].dtype) for name, value in content.items()}
    wrong = unsound(tensors)
    if wrong:
        refuse(folder, f"{_listed(wrong)}; save the model again from a training that did not diverge")
    evidence = None
    if description.evidence is not None:
        evidence = Evidence.read(folder, description.evidence, tensors, description.classes)
    if ranges is None:
        return tensors, None, evidence
    return tensors, Seen(ranges, Gaussians(tensors.pop(WHITENING), tensors.pop(CENTRES))), evidence


def unsound(tensors: Mapping[str, Tensor]) -> list[str]:
    """What is wrong with the values of a model's tensors: one phrase for each that no working model has."""
    wrong = []
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            wrong.append(f"'{name}' holds NaN or infinite values")
        elif name.endswith("running_var") and (value < 0).any():
            wrong.append(f"'{name}' holds negative variances")
        elif name == "std" and (value <= 0).any():
            wrong.append(f"'{name}' holds deviations that are not positive")
    return wrong


def _check_header(folder: Path, layout: Mapping[str, Tensor]) -> None:
    """Compare the names, shapes and types in the header of the weights, which takes no memory for them."""
    file = folder / WEIGHTS
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
    if not 2 <= length <= min(MOST_HEADER, file.stat().st_size - 8):
        refuse(
            folder, f"{WEIGHTS} is truncated or not a safetensors file (its header would have {length} bytes)"
        )
    with safe_open(file, framework="pt") as opened_weights:
        held = set(opened_weights.keys())
        wrong = [f"'{name}' is missing" for name in layout if name not in held]
        wrong += [f"'{name}' is not a tensor of this model" for name in sorted(held - layout.keys())]
        for name in (name for name in layout if name in held):
            part = opened_weights.get_slice(name)
            found = (*part.get_shape(),), part.get_dtype()
            expected = tuple(layout[name].shape), _DTYPES.get(layout[name].dtype, str(layout[name].dtype))
            halved = expected[0], _HALF.get(layout[name].dtype)
            if found not in (expected, halved):
                wrong.append(
                    f"'{name}' has shape {found[0]} and type {found[1]} instead of {expected[0]} and {expected[1]}"
                )
    if wrong:
        refuse(folder, f"{WEIGHTS} and {DESCRIPTION} do not belong together: {_listed(wrong)}")


_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_HALF = {torch.float32: "F16"}


def _held(tensors: Mapping[str, Tensor], seen: Seen | None) -> dict[str, Tensor]:
    """All tensors of the weights file."""
    if seen is None:
        return dict(tensors)
    return {**tensors, WHITENING: seen.gaussians.whitening, CENTRES: seen.gaussians.centres}


def _ranges(seen: Seen | None) -> dict[str, Any] | None:
    return None if seen is None else seen.ranges.model_dump(mode="json")


def _listed(wrong: list[str]) -> str:
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return ", ".join(shortened(one, 300) for one in wrong[:NAMED]) + more


def _content(folder: Path, known: WeightsFile | None) -> bytes:
    """The weights file, read once, so that what is compared with the description is what is used."""
    file = folder / WEIGHTS
    if known is None:
        return file.read_bytes()
    content = file.read_bytes() if file.stat().st_size == known.bytes else b""  # it could take any memory
    if hashlib.sha256(content).hexdigest() != known.sha256:
        refuse(
            folder,
            f"{WEIGHTS} is not the file that {DESCRIPTION} was written for (its size or hash differs): it is damaged or was "
            "replaced; copy the whole folder again",
        )
    return content
