"""cellda: make a white-blood-cell classifier work on your own microscope with at most 100 labelled cells.

from cellda import Recipe

result = Recipe.preset("laptop").run(target="raabin", data="~/wbc")
print(result)
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from cellda import adapters as adapters
    from cellda import datasets as datasets
    from cellda import framing as framing
    from cellda import normalizers as normalizers
    from cellda import presets as presets
    from cellda import source_models as source_models
    from cellda.errors import CelldaError
    from cellda.experiment.own_model import adapt_model
    from cellda.experiment.result import RunResult
    from cellda.experiment.study import Study
    from cellda.experiment.workflow import adapt, run
    from cellda.models.classifier import CellClassifier
    from cellda.recipe import Recipe
    from cellda.suggestion.suggest import suggest
else:  # names are imported on first use, so that `import cellda` is fast and does not load torch
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submodules=["adapters", "datasets", "framing", "normalizers", "presets", "source_models"],
        submod_attrs={
            "errors": ["CelldaError"],
            "experiment.own_model": ["adapt_model"],
            "experiment.result": ["RunResult"],
            "experiment.study": ["Study"],
            "experiment.workflow": ["adapt", "run"],
            "models.classifier": ["CellClassifier"],
            "recipe": ["Recipe"],
            "suggestion.suggest": ["suggest"],
        },
    )

__version__ = "0.1.0"
__all__ = [
    "CellClassifier",
    "CelldaError",
    "Recipe",
    "RunResult",
    "Study",
    "__version__",
    "adapt",
    "adapt_model",
    "run",
    "suggest",
]
