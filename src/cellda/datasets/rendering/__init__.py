"""Render single stained blood cells: shape grammar -> smear -> stains -> light -> camera.

`render(keys, domain, size)` is the only entry point; an image depends on its own key alone, never on its batch.
"""

from cellda.datasets.rendering.cellmap import SUBSTRATES
from cellda.datasets.rendering.domains import DOMAINS, Domain
from cellda.datasets.rendering.render import CellKey, draw_scene, render
from cellda.datasets.rendering.smear import Scene

__all__ = ["DOMAINS", "SUBSTRATES", "CellKey", "Domain", "Scene", "draw_scene", "render"]
