"""Maps of the substrates that stains bind to, from the parameters of cells, in a window around each cell."""

import torch
from torch import Tensor

from cellda.datasets.rendering.cells import Cells
from cellda.datasets.rendering.nuclei import LOBES
from cellda.datasets.rendering.random_numbers import Draws
from cellda.datasets.rendering.shapes import capsule, ellipse, inside, smooth_min, smoothstep, texture
from cellda.datasets.rendering.sprites import Frame, Sprites, stamp

SUBSTRATES = (
    "chromatin",
    "rna",
    "protein",
    "haemoglobin",
    "acidophil_granules",
    "basophil_granules",
    "neutrophil_granules",
)
"""The substrates that stains bind to, in the order of a scene's channels."""

WINDOW = 24.0
"""Side of the window in which a cell is rendered, micrometres; the largest monocyte fits."""
MAX_GRANULES = 240
MAX_VACUOLES = 12
LATTICE = 28
CELLMAP_DRAWS = 6 * LATTICE**2 + 4 * MAX_GRANULES + 4 * MAX_VACUOLES

EDGE = 0.14
"""Half width of the edges of cells and nuclei, micrometres."""


def draw_cell_maps(cells: Cells, frame: Frame, middle: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Render each cell in a window of its own.

    Args:
        cells: Parameters of B cells.
        frame: A square window of `WINDOW` micrometres.
        middle: `(B, 2)` x, y of the cells' centres in the window, micrometres.
        draws: `CELLMAP_DRAWS` random numbers per image.

    Returns:
        Substrates `(B, 7, S, S)` in relative amounts, and the coverage in [0, 1] of cell and of nucleus
        `(B, S, S)`.
    """
    grid_x, grid_y = frame.grid()
    x, y = grid_x - middle[:, :1, None], grid_y - middle[:, 1:, None]
    lattice = draws.normal(0.5, (6, LATTICE, LATTICE))

    strays = texture(lattice[:, :2], x, y, cells.radius * 0.55) * cells.raggedness[:, None, None, None]
    to_edge = ellipse(x + strays[:, 0], y + strays[:, 1], cells.radius, cells.aspect, cells.angle)
    cell = inside(to_edge, EDGE * 1.3)
    folds = (
        texture(lattice[:, 2:4], x, y, torch.full_like(cells.radius, 1.7)) * cells.fold[:, None, None, None]
    )
    to_nucleus = _nucleus(cells, x + folds[:, 0], y + folds[:, 1])
    # A nucleus never leaves its cell, whatever the position of the chain of lobes.
    to_nucleus = torch.maximum(to_nucleus, to_edge + 0.3)
    nucleus = inside(to_nucleus, EDGE)

    clumps = texture(lattice[:, 4:5], x, y, cells.grain)[:, 0]
    clumps = smoothstep(-0.55, 0.55, clumps) * 2 - 1
    membrane = torch.exp(-(((to_nucleus + 0.25) / 0.3) ** 2))
    contrast = cells.clumping[:, None, None] * 0.8
    chromatin = nucleus * cells.density[:, None, None] * (1 + contrast * clumps + 0.18 * membrane)

    mottles = texture(lattice[:, 5:6], x, y, torch.full_like(cells.radius, 0.75))[:, 0]
    thickness = 0.72 + 0.28 * smoothstep(0.0, 3.0, -to_edge)
    plasma = cell * thickness * (1 + cells.mottling[:, None, None] * mottles)
    plasma = plasma * (1 + cells.rim[:, None, None] * torch.exp(-(((to_edge + 0.35) / 0.45) ** 2)))
    plasma = plasma * (1 - cells.halo[:, None, None] * torch.exp(-(((to_nucleus - 0.2) / 0.55) ** 2)))
    plasma = plasma * (1 - _vacuoles(cells, frame, middle, draws)) * (1 - 0.75 * nucleus)

    granules = _granules(cells, frame, middle, draws) * (cell * thickness)[:, None]
    bare = 1 - nucleus * (1 - cells.granule_cover[:, None, None])
    substrates = [
        chromatin,
        plasma * cells.rna[:, None, None],
        plasma * cells.protein[:, None, None],
        plasma * cells.haemoglobin[:, None, None],
        *(granules * bare[:, None]).unbind(1),
    ]
    return torch.stack(substrates, dim=1), cell, nucleus


def _nucleus(cells: Cells, x: Tensor, y: Tensor) -> Tensor:
    """`(B, S, S)` signed distance to the chain of lobes and bridges."""
    starts, ends, radii = cells.lobe_start.unbind(1), cells.lobe_end.unbind(1), cells.lobe_radius.unbind(1)
    blend = (cells.bridge_radius * 2.2)[:, None, None]
    distance = capsule(x, y, starts[0], ends[0], radii[0])
    for i in range(1, LOBES):
        lobe = capsule(x, y, starts[i], ends[i], radii[i])
        bridge = capsule(x, y, ends[i - 1], starts[i], cells.bridge_radius)
        distance = torch.minimum(distance, smooth_min(bridge, lobe, blend))
    return distance


def _granules(cells: Cells, frame: Frame, middle: Tensor, draws: Draws) -> Tensor:
    """`(B, 3, S, S)` specific granules by kind, spread evenly over the cell."""
    shape = (MAX_GRANULES,)
    keep = torch.arange(MAX_GRANULES) < cells.granules[:, None]
    turn, out = draws.uniform(0, 2 * torch.pi, shape), draws.uniform(0, 1, shape).sqrt() * 0.95
    place = torch.stack([torch.cos(turn), torch.sin(turn)], dim=-1) * (out * cells.radius[:, None])[..., None]
    radius = cells.granule_radius[:, None] * torch.exp(draws.normal(0.2, shape))
    amount = draws.uniform(0.55, 1.0, shape)
    round_ = torch.ones_like(radius)
    kind = cells.granule_kind.long()
    canvas = torch.zeros(len(kind) * 3, frame.size, frame.size)
    sprites = Sprites.of_batch(keep, place + middle[:, None], radius, amount, round_, round_)
    flat = torch.arange(len(kind)) * 3 + kind
    for part in range(3):  # the stamping window is as wide as the largest of its sprites
        stamp(canvas, frame, sprites.of_images(kind == part, flat), softness=0.12)
    return canvas.view(-1, 3, frame.size, frame.size)


def _vacuoles(cells: Cells, frame: Frame, middle: Tensor, draws: Draws) -> Tensor:
    """`(B, S, S)` share of the cytoplasm that vacuoles replace."""
    shape = (MAX_VACUOLES,)
    keep = torch.arange(MAX_VACUOLES) < cells.vacuoles[:, None]
    turn, out = draws.uniform(0, 2 * torch.pi, shape), draws.uniform(0.35, 0.92, shape)
    place = torch.stack([torch.cos(turn), torch.sin(turn)], dim=-1) * (out * cells.radius[:, None])[..., None]
    radius = cells.vacuole_radius[:, None] * torch.exp(draws.normal(0.25, shape))
    amount = torch.full_like(radius, 0.85)
    round_ = torch.ones_like(radius)
    canvas = torch.zeros(len(keep), frame.size, frame.size)
    sprites = Sprites.of_batch(keep, place + middle[:, None], radius, amount, round_, round_)
    stamp(canvas, frame, sprites, softness=0.15)
    return canvas
