"""Where a dataset lies: found or refused from its name alone, without importing its loader."""

from pathlib import Path

from cellda.datasets import registry, unknown
from cellda.errors import ConfigurationError
from cellda.runtime.given import path_of


def place(name: str, root: Path | None) -> Path | None:
    """The folder of a dataset; None for a synthetic one, which has none.

    Args:
        name: A registered name (`"raabin"`, `"synthetic/3"`), or a name and a path (`"folder=~/my_cells"`).
        root: The folder that holds one folder per dataset name; None if there is none.

    Raises:
        UnknownNameError: If no dataset has this name.
        ConfigurationError: If there is no folder for it.
    """
    name, given, path = name.partition("=")
    base = name.partition("/")[0]
    if base not in registry:
        raise unknown(name)
    read = registry.literals(base)
    if registry.get(base).synthetic if read is None else read.get("synthetic", False):
        return None
    if given and not path:
        raise ConfigurationError(f"'{name}=' does not name a folder; write {name}=<path>.")
    if given:
        return path_of(path)
    if root is None:
        raise ConfigurationError(
            f"Dataset '{name}' is read from a folder: say where with data=<folder that holds '{base}/'> "
            f"(--data on the command line), or, for a target, name its folder: '{base}=<path>'."
        )
    if not (root / base).exists():
        found = sorted(entry.name for entry in root.iterdir()) if root.is_dir() else []
        held = (
            f"it holds {', '.join(found[:20]) or 'nothing'}" if root.is_dir() else "there is no such folder"
        )
        raise ConfigurationError(
            f"There is no folder '{base}' for dataset '{name}' in {root} ({held}); put the dataset there "
            f"(`cellda datasets fetch {base} --data {root}` downloads it or says how), "
            f"or, for a target, name its folder: '{base}=<path>'."
        )
    return root / base
