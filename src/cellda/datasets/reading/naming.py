"""What the labels of one dataset mean: a taxonomy, and a laboratory's own words for its classes."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from cellda.datasets.reading.words import Words, read_words
from cellda.errors import UnknownNameError, nearest
from cellda.taxonomies import DEFAULT, create
from cellda.taxonomies.base import Taxonomy

_CURRENT: ContextVar["Naming | None"] = ContextVar("naming", default=None)


@dataclass(frozen=True, eq=False)
class Naming:
    """How the names that a dataset publishes fold into classes.

    Attributes:
        taxonomy: The classes.
        words: Own names of classes -> a name that the taxonomy knows, or None for cells to leave out. Others mean what they
            say.
    """

    taxonomy: Taxonomy = field(default_factory=lambda: create(DEFAULT))
    words: Words = field(default_factory=dict)

    def fold(self, raw_label: str) -> str | None:
        """The class of a name; None for cells that are left out.

        Raises:
            UnknownNameError: If the name is unknown.
        """
        word = self.words.get(raw_label, raw_label)
        return None if word is None else self.taxonomy.fold(word)

    def coarse(self, raw_label: str) -> str | None:
        """The type coarser than the classes that a name means, if it does (`Taxonomy.coarse`)."""
        word = self.words.get(raw_label, raw_label)
        return None if word is None else self.taxonomy.coarse(word)

    def is_known(self, raw_label: str) -> bool:
        """Whether `fold` knows a name."""
        word = self.words.get(raw_label, raw_label)
        return word is None or self.taxonomy.is_known(word)

    def names_a_class(self, raw_label: str) -> bool:
        """Whether a name means cells that are not left out."""
        word = self.words.get(raw_label, raw_label)
        return word is not None and self.taxonomy.names_a_class(word)

    def unknown(self, raw_labels: Iterable[str]) -> dict[str, str]:
        """Those of some names that `fold` refuses, each with its error message."""
        words = {name: self.words.get(name, name) for name in dict.fromkeys(raw_labels)}
        refused = self.taxonomy.unknown_names(word for word in words.values() if word is not None)
        return {name: refused[word] for name, word in words.items() if word in refused}

    def found_in(self, raw_labels: Iterable[str]) -> Self:
        """The naming with the classes that the labels of the dataset make (`Taxonomy.found_in`)."""
        words = (self.words.get(name, name) for name in raw_labels)
        found = self.taxonomy.found_in(word for word in words if word is not None)
        return self if found is self.taxonomy else replace(self, taxonomy=found)

    @classmethod
    def current(cls) -> "Naming":
        """The naming of datasets that are loaded now: that of the paper, outside `used`."""
        return _CURRENT.get() or cls()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Context in which datasets are loaded with this naming, which is none of their loaders' options."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def with_words(self, file: Path | None) -> Self:
        """This naming with the words of a mapping file, if one is given.

        Raises:
            DataError: If the file cannot be used.
            UnknownNameError: If it maps names to what the taxonomy does not know.
        """
        if file is None:
            return self
        named = replace(self, words=read_words(file))
        named.check_words()
        return named

    def told(self, labels: Collection[str]) -> list[str]:
        """What an account says of the words: what labels were read as, and which words no cell is labelled with."""
        read = [f"'{name}' as {word or 'left out'}" for name, word in self.words.items() if name in labels]
        lines = [f"labels were read by the mapping: {', '.join(read)}"] if read else []
        return lines + [
            f"the mapping names '{name}', which no cell is labelled with; {nearest(name, labels)}"
            for name in self.words
            if name not in labels
        ]

    def check_words(self) -> None:
        """Refuse own names that are mapped to what the taxonomy does not know.

        Raises:
            UnknownNameError: If there are any; the message lists them all.
        """
        wrong = [
            f"'{name}' -> {problem}"
            for name, word in self.words.items()
            if word is not None
            for problem in self.taxonomy.unknown_names([word]).values()
        ]
        if wrong:
            raise UnknownNameError("; ".join(wrong))
