"""The unstained scene under the microscope: one white cell among red cells and platelets."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cellda.datasets.rendering.cellmap import CELLMAP_DRAWS, SUBSTRATES, WINDOW, draw_cell_maps
from cellda.datasets.rendering.cells import Cells
from cellda.datasets.rendering.domains import Domain
from cellda.datasets.rendering.grammar import CELL_DRAWS, draw_cells
from cellda.datasets.rendering.random_numbers import Draws
from cellda.datasets.rendering.sprites import Frame, Sprites, stamp

RED_RADIUS = 3.75
"""Mean radius of a red cell, micrometres."""
MAX_PLATELETS = 10
PLATELET_DRAWS = 8 * MAX_PLATELETS


@dataclass(frozen=True)
class Scene:
    """The content of the frame.

    Attributes:
        substrates: `(B, 7, H, W)` relative amounts of what stains bind to, in the order of `SUBSTRATES`.
        cell: `(B, H, W)` coverage of the white cell in [0, 1].
        nucleus: `(B, H, W)` coverage of its nucleus in [0, 1].
        cells: The parameters of the white cells.
    """

    substrates: Tensor
    cell: Tensor
    nucleus: Tensor
    cells: Cells


def red_cell_count(domain: Domain) -> int:
    """Red cells placed in one frame of `domain`, before those without room are removed."""
    width, height = _thrown_area(domain)
    return math.ceil(domain.crowding * width * height / (math.pi * RED_RADIUS**2))


def scene_draws(domain: Domain) -> int:
    """Random numbers that one scene of `domain` needs."""
    return CELL_DRAWS + 2 + CELLMAP_DRAWS + 7 * red_cell_count(domain) + PLATELET_DRAWS


def draw_scene(labels: Tensor, domain: Domain, size: int, draws: Draws) -> Scene:
    """Lay out and render one scene per class index in `labels` `(B,)`."""
    count = red_cell_count(domain)
    for_cell, for_place, for_maps, for_red, for_platelets = draws.split(
        CELL_DRAWS, 2, CELLMAP_DRAWS, 7 * count, PLATELET_DRAWS
    )
    cells = draw_cells(labels, for_cell)
    frame = Frame(size, domain.field, domain.field * domain.height)
    extent = torch.tensor([frame.width, frame.height])
    centre = extent * (0.5 + for_place.uniform(-domain.wander, domain.wander, (2,)))

    substrates = torch.zeros(len(labels), len(SUBSTRATES), size, size)
    cell, nucleus = torch.zeros(len(labels), size, size), torch.zeros(len(labels), size, size)
    _paste_cells(cells, frame, centre, for_maps, substrates, cell, nucleus)
    # The cell lies on its neighbours, so they show through only at its soft edge.
    clear = 1 - cell
    substrates[:, SUBSTRATES.index("haemoglobin")] += (
        _red_cells(cells, frame, centre, domain, for_red) * clear
    )
    platelets = _platelets(frame, for_platelets, domain) * clear
    substrates[:, SUBSTRATES.index("rna")] += platelets * 0.55
    substrates[:, SUBSTRATES.index("neutrophil_granules")] += platelets * 0.8
    return Scene(substrates, cell, nucleus, cells)


def _thrown_area(domain: Domain) -> tuple[float, float]:
    margin = 2 * RED_RADIUS
    return domain.field + margin, domain.field * domain.height + margin


def _paste_cells(
    cells: Cells,
    frame: Frame,
    centre: Tensor,
    draws: Draws,
    substrates: Tensor,
    cell: Tensor,
    nucleus: Tensor,
) -> None:
    """Render each cell in a small window on the frame's own pixel grid and copy it into the frame."""
    across, down = frame.pixel
    side = min(math.ceil(WINDOW / min(across, down)), frame.size)
    window = Frame(side, side * across, side * down)
    first = (centre / torch.tensor([across, down])).floor().long() - side // 2
    first = first.clamp(0, frame.size - side)
    middle = centre - first * torch.tensor([across, down])
    maps, cover, core = draw_cell_maps(cells, window, middle, draws)
    for i, (left, top) in enumerate(first.tolist()):
        here = (..., slice(top, top + side), slice(left, left + side))
        substrates[i][here] = maps[i]
        cell[i][here] = cover[i]
        nucleus[i][here] = core[i]


def _red_cells(cells: Cells, frame: Frame, centre: Tensor, domain: Domain, draws: Draws) -> Tensor:
    """`(B, H, W)` red cells with central pallor; `domain.overlap` limits how far neighbours overlap."""
    count = red_cell_count(domain)
    width, height = _thrown_area(domain)
    spread = torch.tensor([width, height])
    place = draws.uniform(0, 1, (count, 2)) * spread - RED_RADIUS
    radius = RED_RADIUS * torch.exp(draws.normal(0.07, (count,)))
    aspect = torch.exp(draws.normal(domain.poikilocytosis, (count,)))
    angle = draws.uniform(0, math.pi, (count,))
    amount = draws.uniform(0.82, 1.15, (count,))

    from_cell = (place - centre[:, None]).square().sum(dim=-1).sqrt()
    beside = from_cell > cells.radius[:, None] + radius * (1 - 0.5 * domain.overlap)
    # Not torch.cdist: its matrix-product form rounds differently from batch to batch.
    gaps = (place[:, :, None] - place[:, None]).square().sum(dim=-1).sqrt()
    apart = gaps > (radius[:, :, None] + radius[:, None, :]) * (1 - domain.overlap)
    keep = torch.zeros_like(beside)
    for k in range(count):
        keep[:, k] = beside[:, k] & (apart[:, k, :k] | ~keep[:, :k]).all(dim=1)

    canvas = torch.zeros(len(radius), frame.size, frame.size)
    stamp(canvas, frame, Sprites.of_batch(keep, place, radius, amount, aspect, angle), 0.3, domain.pallor)
    return canvas


def _platelets(frame: Frame, draws: Draws, domain: Domain) -> Tensor:
    """`(B, H, W)` a few small, grainy bodies."""
    shape = (MAX_PLATELETS,)
    expected = domain.platelets * frame.width * frame.height / 1000
    keep = draws.uniform(0, 1, shape) < expected / MAX_PLATELETS
    place = draws.uniform(0, 1, (*shape, 2)) * torch.tensor([frame.width, frame.height])
    radius = draws.uniform(0.7, 1.4, shape)
    aspect = torch.exp(draws.normal(0.15, shape))
    angle = draws.uniform(0, math.pi, shape)
    canvas = torch.zeros(len(radius), frame.size, frame.size)
    halo = Sprites.of_batch(keep, place, radius, torch.full_like(radius, 0.55), aspect, angle)
    stamp(canvas, frame, halo, softness=0.3)
    core = Sprites.of_batch(keep, place, radius * 0.55, torch.ones_like(radius), aspect, angle)
    stamp(canvas, frame, core, softness=0.35)
    return canvas
