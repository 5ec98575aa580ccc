"""Work on other processes and machines: where (`place`), what starts workers there (`start`), and what runs a graph.

Dask is imported when work is done elsewhere, and not before.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from cellda.cluster.engine import LostError, Task
    from cellda.cluster.place import Here, Place, place_of
    from cellda.cluster.start import workers_at
    from cellda.cluster.worker import Reporter, reported, without_gpu

__all__ = [
    "Here",
    "LostError",
    "Place",
    "Reporter",
    "Task",
    "place_of",
    "reported",
    "without_gpu",
    "workers_at",
]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "engine": ["LostError", "Task"],
        "place": ["Here", "Place", "place_of"],
        "start": ["workers_at"],
        "worker": ["Reporter", "reported", "without_gpu"],
    },
)
