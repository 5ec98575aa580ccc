"""Everything that authors of plug-ins import: `from cellda.plugin import Adapter, register_adapter, tunable`.

One decorator registers each kind (`register_adapter`, `register_head`, `register_selector`, `register_suggester`,
`register_normalizer`, `register_framing`, `register_dataset`, `register_taxonomy`, `register_format`). The other names are
the base class of each kind and the types that its methods receive. Names are imported on first use: importing `Adapter`
alone does not load torch.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import lazy_loader

from cellda import adapters, datasets, export, framing, normalizers, taxonomies
from cellda.models import heads
from cellda.plugins.registry import Registry
from cellda.selection import selectors
from cellda.suggestion import suggesters

if TYPE_CHECKING:
    from cellda.adapters.base import AdaptContext, Adapter, Effect, Need, Offer, Start, TargetView
    from cellda.adapters.families.embeddings import FeatureAdapter, Features
    from cellda.adapters.families.pool import Pooled, PooledFeatures
    from cellda.data.image_set import ImageSet
    from cellda.datasets.base import CellDataset
    from cellda.datasets.reading.cell_table import cell_table
    from cellda.datasets.reading.layout import images_below, locate
    from cellda.errors import ConfigurationError, DataError
    from cellda.export.base import Format
    from cellda.export.graph import Graph
    from cellda.framing.base import Box, Found, Framing, Pixels
    from cellda.models.classifier import CellClassifier
    from cellda.models.heads.base import Head
    from cellda.models.heads.linear import Linear
    from cellda.normalizers.base import Normalizer
    from cellda.normalizers.families.referenced import Referenced
    from cellda.plugins.settings import tunable
    from cellda.selection.selectors.base import Evidence, PoolSelector, Selector, Use
    from cellda.suggestion.suggesters.base import Cells, Suggester
    from cellda.taxonomies.base import Taxonomy
    from cellda.taxonomies.cell_types import CellType
    from cellda.training.examples import FeatureExamples, ImageExamples
    from cellda.training.objective import CrossEntropy, Objective, Step
    from cellda.training.settings import Training
else:
    __getattr__, __dir__, _ = lazy_loader.attach(
        "cellda",  # the package that contains the modules below
        submod_attrs={
            "adapters.base": ["AdaptContext", "Adapter", "Effect", "Need", "Offer", "Start", "TargetView"],
            "adapters.families.embeddings": ["FeatureAdapter", "Features"],
            "adapters.families.pool": ["Pooled", "PooledFeatures"],
            "data.image_set": ["ImageSet"],
            "datasets.base": ["CellDataset"],
            "datasets.reading.cell_table": ["cell_table"],
            "datasets.reading.layout": ["images_below", "locate"],
            "errors": ["ConfigurationError", "DataError"],
            "export.base": ["Format"],
            "export.graph": ["Graph"],
            "framing.base": ["Box", "Found", "Framing", "Pixels"],
            "models.classifier": ["CellClassifier"],
            "models.heads.base": ["Head"],
            "models.heads.linear": ["Linear"],
            "normalizers.base": ["Normalizer"],
            "normalizers.families.referenced": ["Referenced"],
            "plugins.settings": ["tunable"],
            "selection.selectors.base": ["Evidence", "PoolSelector", "Selector", "Use"],
            "suggestion.suggesters.base": ["Cells", "Suggester"],
            "taxonomies.base": ["Taxonomy"],
            "taxonomies.cell_types": ["CellType"],
            "training.examples": ["FeatureExamples", "ImageExamples"],
            "training.objective": ["CrossEntropy", "Objective", "Step"],
            "training.settings": ["Training"],
        },
    )

register_adapter = adapters.register
register_head = heads.register
register_selector = selectors.register
register_suggester = suggesters.register
register_normalizer = normalizers.register
register_framing = framing.register
register_dataset = datasets.register
register_taxonomy = taxonomies.register
register_format = export.register

REGISTRIES: Mapping[str, Registry[Any]] = {
    "normalizers": normalizers.registry,
    "framing": framing.registry,
    "adapters": adapters.registry,
    "heads": heads.registry,
    "selectors": selectors.registry,
    "suggesters": suggesters.registry,
    "datasets": datasets.registry,
    "taxonomies": taxonomies.registry,
    "formats": export.registry,
}
"""Every kind of plug-in, in the order of `cellda list`; the entry-point group of each is its `package`."""

__all__ = [
    "REGISTRIES",
    "AdaptContext",
    "Adapter",
    "Box",
    "CellClassifier",
    "CellDataset",
    "CellType",
    "Cells",
    "ConfigurationError",
    "CrossEntropy",
    "DataError",
    "Effect",
    "Evidence",
    "FeatureAdapter",
    "FeatureExamples",
    "Features",
    "Format",
    "Found",
    "Framing",
    "Graph",
    "Head",
    "ImageExamples",
    "ImageSet",
    "Linear",
    "Need",
    "Normalizer",
    "Objective",
    "Offer",
    "Pixels",
    "PoolSelector",
    "Pooled",
    "PooledFeatures",
    "Referenced",
    "Selector",
    "Start",
    "Step",
    "Suggester",
    "TargetView",
    "Taxonomy",
    "Training",
    "Use",
    "cell_table",
    "images_below",
    "locate",
    "register_adapter",
    "register_dataset",
    "register_format",
    "register_framing",
    "register_head",
    "register_normalizer",
    "register_selector",
    "register_suggester",
    "register_taxonomy",
    "tunable",
]
