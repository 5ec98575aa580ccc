"""cellda: make a white-blood-cell classifier work on your own microscope with at most 100 labelled cells.

from cellda import Recipe

result = Recipe.preset("laptop").run(target="raabin", data="~/wbc")
print(result)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cellda.errors import CelldaError
    from cellda.experiment.result import RunResult
    from cellda.models.classifier import CellClassifier
    from cellda.recipe import Recipe

__version__ = "0.1.0"
__all__ = ["CellClassifier", "CelldaError", "Recipe", "RunResult", "__version__"]

_HOMES = {
    "CelldaError": "cellda.errors",
    "CellClassifier": "cellda.models.classifier",
    "Recipe": "cellda.recipe",
    "RunResult": "cellda.experiment.result",
}
_PACKAGES = ("adapters", "datasets", "normalizers", "presets")
"""Sub-packages that `import cellda` alone gives access to."""


def __getattr__(name: str) -> Any:
    # Public names are imported on first use, so that `import cellda` stays instant and never imports torch.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return import_module(f"cellda.{name}")
    raise AttributeError(f"module 'cellda' has no attribute {name!r}")
