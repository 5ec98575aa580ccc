"""Work on other processes and machines: where (`place`), and the engine that runs a graph of tasks there (`engine`).

Dask is imported when work is done elsewhere, and not before.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from cellda.cluster.engine import Task, workers_at
    from cellda.cluster.place import Here, Place, place_of
    from cellda.cluster.worker import reported

__all__ = ["Here", "Place", "Task", "place_of", "reported", "workers_at"]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "engine": ["Task", "workers_at"],
        "place": ["Here", "Place", "place_of"],
        "worker": ["reported"],
    },
)
