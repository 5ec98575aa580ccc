"""Predictions image by image: read, shown to the network and judged block by block, in the order of the images."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from cellda.datasets.reading.account import PREVIEWS, Tally
from cellda.datasets.reading.decode import Box, decode_each
from cellda.datasets.reading.formats.further import previews
from cellda.framing.base import Found, Framing
from cellda.framing.spec import FramingSpec
from cellda.models.finite import check_finite
from cellda.models.inputs import Picture, UnreadableError, rgb
from cellda.models.judged import Seen, flags_of, has_class
from cellda.models.looks import Looks, look_at

FITTED_ON = 256
"""Most images that decide the framing of those that are predicted together."""
DECODED_AT_ONCE = 256
"""Files decoded together: starting threads for every network batch would cost as much as decoding small images."""


@dataclass(frozen=True, eq=False)
class Result:
    """What is known of one image.

    Attributes:
        picture: The image.
        probabilities: `(classes,)`, float32; None if it cannot be read.
        flag: Why it cannot be judged (`cellda.models.judged`); empty if nothing speaks against its class.
        label: Its most probable class; None if it cannot be read, or its flag says that it does not show one cell.
        reason: Why it cannot be read; empty if it was read.
        embedding: `(D,)`, float32; None if it cannot be read.
    """

    picture: Picture
    probabilities: Float[Tensor, " classes"] | None = None
    flag: str = ""
    label: str | None = None
    reason: str = ""
    embedding: Float[Tensor, " d"] | None = None


@dataclass(frozen=True, eq=False)
class Network:
    """What predicts the blocks.

    Attributes:
        applied: From a batch of raw pixels in the network's size to embeddings and probabilities, both on the CPU.
        classes: Names of the classes, in the order of the probabilities.
        size: Side of the network's input in pixels.
        framing: The part of an image that is shown to the network.
        at_once: Images predicted together.
        seen: What the network has seen in training; None if it is not known.
    """

    applied: Callable[[Tensor], tuple[Tensor, Tensor]]
    classes: tuple[str, ...]
    size: int
    framing: FramingSpec
    at_once: int
    seen: Seen | None

    def framed_for(
        self, pictures: Iterable[Picture], *, bits: int | None = None
    ) -> tuple["Network", Iterable[Picture], str]:
        """The same network with the framing that the images decide, if it learns from images.

        It learns from at most `FITTED_ON` of them: evenly spread ones of a sequence, the first ones of an iterator.

        Args:
            pictures: What will be predicted; pictures that cannot be read are passed over.
            bits: As of `results`.

        Returns:
            The network; the pictures; and a sentence that is empty if there is nothing to say.
        """
        framing = self.framing.build()
        if not framing.least:
            return self, pictures, ""
        if isinstance(pictures, Sequence):
            some: Sequence[Picture] = pictures[:: max(1, -(-len(pictures) // FITTED_ON))]
        else:
            left = iter(pictures)
            some = list(islice(left, FITTED_ON))
            pictures = chain(some, left)
        if len(some) < framing.least:
            return self, pictures, ""
        found: list[Found | None] = []
        _each(some, lambda _row, image: found.append(framing.measure(np.array(image))), bits)
        fitted = self.framing.fitted(found)
        return replace(self, framing=fitted), pictures, fitted.build().news(framing)

    @property
    def block(self) -> int:
        """Number of images of a block: files of a block are decoded together, in several threads."""
        return max(DECODED_AT_ONCE, self.at_once)


@torch.no_grad()
def results(
    network: Network, pictures: Iterable[Picture], *, bits: int | None = None
) -> Iterator[list[Result]]:
    """The results of all pictures, a block at a time; a picture that cannot be read has a reason instead of probabilities.

    Args:
        network: What predicts them.
        pictures: What to predict; read as it is needed.
        bits: Significant bits that the camera records, of files that are stored with 16; None takes what they state.

    Smaller pictures in image files (previews), which are passed over, are counted in a warning at the end.

    Raises:
        DataError: If pixels in memory are not an RGB image.
        DivergedError: If probabilities are not finite.
    """
    left, smaller = iter(pictures), Tally()
    while block := list(islice(left, network.block)):
        yield _results(network, Read(block, network.size, network.framing.build(), bits))
        files = {one.path: one.name for one in block if one.path is not None}
        smaller.leave(PREVIEWS, "", (name for path, name in files.items() if previews(path)))
    for line in smaller.close("images", 0).details():
        warnings.warn(line.strip(), stacklevel=2)


def _results(network: Network, read: "Read") -> list[Result]:
    block, seen = read.block, network.seen
    rows = [row for row in range(len(block)) if row not in read.reasons]
    found = [Result(picture, reason=read.reasons.get(row, "")) for row, picture in enumerate(block)]
    if rows:
        images = torch.from_numpy(read.pixels[rows]).permute(0, 3, 1, 2)
        embeddings, probabilities = map(
            torch.cat, zip(*map(network.applied, torch.split(images, network.at_once)), strict=True)
        )
        check_finite(probabilities, "Predicting")
        far = seen.gaussians.distances(embeddings) if seen else torch.zeros(len(rows))
        for row, values, embedding, distance in zip(
            rows, probabilities, embeddings, far.tolist(), strict=True
        ):
            flag = flags_of(read.looks[row], seen, distance)
            label = network.classes[int(values.argmax())] if has_class(flag) else None
            found[row] = Result(block[row], values, flag, label, embedding=embedding)
    return found


class Read:
    """The pictures of a block as the network sees them.

    Attributes:
        block: The pictures.
        pixels: `(N, S, S, 3)` uint8.
        looks: What each looks like, by its number.
        reasons: Why pictures cannot be read, by their number.

    Args:
        block: The pictures.
        size: Side of the network's input in pixels.
        framing: The part of an image that is shown to the network.
        bits: Significant bits that the camera records; None takes what the files state.
    """

    def __init__(self, block: Sequence[Picture], size: int, framing: Framing, bits: int | None) -> None:
        self.block = block
        self.pixels = np.empty((len(block), size, size, 3), np.uint8)
        self.looks: dict[int, Looks] = {}
        self._framing = framing
        self.reasons = _each(block, self._add, bits)

    def _add(self, row: int, image: Image.Image) -> None:
        whole, size = np.array(image), self.pixels.shape[1]
        if self._framing.cuts:
            self.pixels[row], _ = self._framing.frame(whole, size)
        else:
            self.pixels[row] = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
        looks = look_at(whole, self.pixels[row])
        if self.block[row].path is None and image.size == (size, size):
            looks = replace(looks, side=None)  # resized for the network: it is not known how large it was
        self.looks[row] = looks


def _each(
    block: Sequence[Picture], use: Callable[[int, Image.Image], None], bits: int | None
) -> dict[int, str]:
    """Call `use` with the number of each picture and its image, files in several threads: why pictures cannot be read."""
    reasons: dict[int, str] = {}
    files: list[tuple[int, tuple[Path, Box | None]]] = []
    for row, picture in enumerate(block):
        if picture.path is not None:
            files.append((row, (picture.path, picture.box)))
            continue
        try:
            use(row, Image.fromarray(rgb(picture)))
        except UnreadableError as error:
            reasons[row] = str(error)
    rows = [row for row, _ in files]
    bad = decode_each([place for _, place in files], lambda index, image: use(rows[index], image), bits=bits)
    return reasons | {rows[index]: reason for index, reason in bad.items()}
