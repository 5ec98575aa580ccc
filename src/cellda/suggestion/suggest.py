"""Which of a laboratory's images to label next: predict all, let a suggester choose."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cellda import source_models
from cellda.data.own_cells import grouped, image_files
from cellda.data.root import DataRoot
from cellda.datasets.base import CellDataset
from cellda.datasets.reading.account import Tally
from cellda.errors import ConfigurationError, DataError
from cellda.models.classifier import CellClassifier
from cellda.models.inputs import Picture
from cellda.models.judged import has_class
from cellda.models.results import Network, Result, results
from cellda.runtime import progress as bars
from cellda.runtime.contents import read_contents
from cellda.runtime.device import device_named
from cellda.runtime.work import Stage, Work
from cellda.suggestion import DEFAULT
from cellda.suggestion.current import known_cells
from cellda.suggestion.spec import SuggesterSpec
from cellda.suggestion.to_label import Suggestion, unwritable
from cellda.text import counted

LEFT = "image(s) without one single cell, never suggested"
LABELLED = "image(s) labelled already"
COPIES = "(copy|copies) of other images"


def suggest(
    images: str | Path | Sequence[str | Path],
    n: int = 40,
    model: str | Path | CellClassifier = source_models.DEFAULT,
    *,
    suggester: str | Mapping[str, Any] | SuggesterSpec = DEFAULT,
    labelled: str | CellDataset | None = None,
    seed: int = 0,
    bits: int | None = None,
    progress: bool = True,
) -> Suggestion:
    """Choose the images that should be labelled next.

    Images that are flagged as a field of cells or as without a nucleus are never suggested, nor are copies of others, or of
    labelled ones, byte by byte.

    Args:
        images: Image files, one cell each, folders that hold them, or patterns.
        n: Number of images.
        model: The source model: a name (`cellda.source_models.names()`) or the folder of a saved one, which is used on an
            accelerator if there is one; or a classifier, which is used where it is.
        suggester: A suggester, by name or with its options (`{"name": "typiclust", "neighbours": 10}`).
        labelled: The cells that are labelled already: a name (`"table=to_label.csv"`, `"folder=~/my_cells"`), or a loaded
            dataset. They are not suggested again, and tell the suggester what is known.
        seed: Seed of what the suggester draws.
        bits: Significant bits that the camera records (10, 12 or 14), if images of 16 bits do not state them.
        progress: Whether to show progress on standard error.

    Raises:
        ConfigurationError: If there are fewer images than asked for, or the suggester cannot work with them.
        DataError: If images are missing, or labelled ones cannot be read; the message lists them all.
    """
    chooser = SuggesterSpec.model_validate(suggester).build()
    if n < 1:
        raise ConfigurationError(f"At least 1 image is suggested; got n = {n}.")
    known = DataRoot(None).load(labelled) if isinstance(labelled, str) else labelled
    tally = Tally()
    pictures = [Picture(str(path), path) for path in _candidates(images, known, tally)]
    _check_enough(n, pictures)
    classifier = model if isinstance(model, CellClassifier) else _loaded(model)
    network, _, news = classifier.network().framed_for(pictures, bits=bits)
    extra = () if known is None else known.taxonomy.classes
    classes = tuple(dict.fromkeys([*classifier.classes, *extra]))

    with bars.display(progress):
        if progress and news:
            bars.note(news)
        found = [one for one in _predicted(network, pictures, bits) if _usable(one, tally)]
        _check_enough(n, found)
        taught = [] if known is None else _taught(network, known)
    labels = [] if known is None else [classes.index(name) for name in known.table["label"]]
    embeddings, source = _arrays([*found, *taught], len(classes))
    rows = np.arange(len(found), len(embeddings))
    cells = known_cells(embeddings, source, rows, np.array(labels, dtype=np.int64))
    chosen = chooser.suggest(cells, n, seed)
    guesses = tuple(classes[label] for label in cells.probabilities[chosen].argmax(1))
    paths = tuple(Path(found[row].picture.name) for row in chosen)
    given = [images] if isinstance(images, str | Path) else images
    groups = tuple(group for _, group in grouped(paths, given))
    return Suggestion(
        paths, guesses, classes, tally.close("images", len(found)), known, groups, cells.embeddings[chosen]
    )


def _loaded(model: str | Path) -> CellClassifier:
    return CellClassifier.load(source_models.registry.place(str(model))).to(device_named("auto"))


def _check_enough(n: int, found: Sequence[Any]) -> None:
    if n > len(found):
        left = f"are only {len(found)}: ask for fewer, or give more" if found else "is none"
        raise ConfigurationError(
            f"{counted(n, 'image(s)')} cannot be suggested: of those that can be chosen, there {left}."
        )


def _candidates(
    images: str | Path | Sequence[str | Path], known: CellDataset | None, tally: Tally
) -> list[Path]:
    """The image files that may be suggested; those that are left out are entered."""
    files = image_files(images, tally)
    hidden = set(unwritable(files))
    tally.leave("image(s) whose path a table cannot hold: rename them", "", map(str, hidden))
    files = [file for file in files if file not in hidden]
    there = [] if known is None else _files_of(known)
    hashes = read_contents([str(file.absolute()) for file in (*there, *files)], "the images").hashes
    seen, taken = set(hashes[: len(there)]), set(hashes[: len(there)])
    left: dict[str, list[str]] = {LABELLED: [], COPIES: []}
    kept = []
    for file, content in zip(files, hashes[len(there) :], strict=True):
        if content in seen:
            left[LABELLED if content in taken else COPIES].append(str(file))
        else:
            seen.add(content)
            kept.append(file)
    for what, names in left.items():
        tally.leave(what, "", names)
    return kept


def _files_of(known: CellDataset) -> list[Path]:
    """The files of labelled cells, also of those that their label leaves out.

    Raises:
        DataError: If they are not image files.
    """
    if known.root is None:
        raise DataError(
            f"The labelled cells of '{known.full_name}' are not image files; give folder= or table=."
        )
    paths = dict.fromkeys([*known.table["path"], *known.dropped["path"]])
    files = [known.folder / path for path in paths]
    if not all(file.is_file() for file in files):
        raise DataError(
            f"The labelled cells of '{known.full_name}' are not image files; give folder= or table=."
        )
    return files


def _predicted(network: Network, pictures: Sequence[Picture], bits: int | None) -> list[Result]:
    found: list[Result] = []
    with bars.task(Work(Stage.PREDICT), len(pictures)) as advance:
        for block in results(network, pictures, bits=bits):
            advance(len(block))
            found += block
    return found


def _usable(one: Result, tally: Tally) -> bool:
    """Whether an image may be suggested; if not, it is entered why."""
    if one.reason:
        tally.leave("image(s) that cannot be read", "", [f"{one.picture.name} ({one.reason})"])
    elif not has_class(one.flag):
        tally.leave(LEFT, one.flag.partition("+")[0], [one.picture.name])
    return not one.reason and has_class(one.flag)


def _taught(network: Network, known: CellDataset) -> list[Result]:
    """The labelled cells.

    Raises:
        DataError: If some cannot be read.
    """
    cells = zip(known.table["path"], known.table["box"], strict=True)
    pictures = [Picture(path, known.folder / path, box) for path, box in cells]
    found = list(chain.from_iterable(results(network, pictures, bits=known.bits)))
    bad = [f"{one.picture.name}: {one.reason}" for one in found if one.reason]
    if bad:
        raise DataError(f"{len(bad)} of {counted(len(found), 'labelled image(s)')} cannot be used.", bad)
    return found


def _arrays(found: Sequence[Result], classes: int) -> "tuple[np.ndarray, np.ndarray]":
    """Embeddings `(N, D)` and probabilities `(N, classes)`; classes that the model does not know get 0."""
    embeddings = [one.embedding for one in found if one.embedding is not None]
    probabilities = [one.probabilities for one in found if one.probabilities is not None]
    known = torch.stack(probabilities).numpy()
    return torch.stack(embeddings).numpy(), np.pad(known, ((0, 0), (0, classes - known.shape[1])))
