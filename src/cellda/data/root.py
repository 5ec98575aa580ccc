"""The folder that holds one folder per dataset."""

from pathlib import Path
from typing import Any

from cellda.datasets import load, registry
from cellda.datasets.base import CellDataset
from cellda.errors import ConfigurationError


class DataRoot:
    """Loads each dataset once, from the folder that holds one folder per registered name.

    Args:
        root: That folder; None if only synthetic datasets are used.
    """

    def __init__(self, root: str | Path | None) -> None:
        self.root = None if root is None else Path(root).expanduser()
        self._loaded: dict[str, CellDataset] = {}

    def load(self, name: str, **options: Any) -> CellDataset:
        """Load `name`, or `name=path` if it lies elsewhere.

        Args:
            name: A registered name (`"raabin"`, `"synthetic/3"`), or a name and a path (`"folder=~/my_cells"`).
            options: Options of the dataset's loader.

        Raises:
            ConfigurationError: If there is no folder for it.
            DataError: If the folder does not hold the dataset.
        """
        key = repr((name, sorted(options.items())))
        if key not in self._loaded:
            self._loaded[key] = self._load(name, options)
        return self._loaded[key]

    def _load(self, name: str, options: dict[str, Any]) -> CellDataset:
        name, given, path = name.partition("=")
        base = name.partition("/")[0]
        if registry.get(base).synthetic:
            return load(name, **options)
        if given and not path:
            raise ConfigurationError(f"'{name}=' does not name a folder; write {name}=<path>.")
        if given:
            return load(name, path, **options)
        if self.root is None:
            raise ConfigurationError(
                f"Dataset '{name}' is read from a folder: say where with data=<folder that holds '{base}/'> "
                f"(--data on the command line), or, for a target, name its folder: '{base}=<path>'."
            )
        if not (self.root / base).exists():
            found = sorted(entry.name for entry in self.root.iterdir()) if self.root.is_dir() else []
            held = (
                f"it holds {', '.join(found[:20]) or 'nothing'}"
                if self.root.is_dir()
                else "there is no such folder"
            )
            raise ConfigurationError(
                f"There is no folder '{base}' for dataset '{name}' in {self.root} ({held}); put the dataset there "
                f"(`cellda datasets fetch {base} --data {self.root}` downloads it or says how), "
                f"or, for a target, name its folder: '{base}=<path>'."
            )
        return load(name, self.root / base, **options)
