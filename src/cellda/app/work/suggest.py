"""The job that chooses which cells to label next."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from sqlmodel import col, func, select

from cellda.app.project.exchange import write_table
from cellda.app.project.labels import labels
from cellda.app.project.project import Project
from cellda.app.project.tables import Cell
from cellda.errors import DataError
from cellda.suggestion.suggest import suggest as choose


def suggest(project: Project, arguments: Mapping[str, Any]) -> None:
    """Choose `number` cells, and enter them after those that were suggested before.

    Args:
        project: The project.
        arguments: `number`, and `model`, a source model by name.
    """
    known = f"table={write_table(project)}" if labels(project) else None
    try:
        found = choose(
            project.images, arguments["number"], arguments["model"], labelled=known, progress=False
        )
    except DataError:
        if known is None:
            raise
        # Nothing but cells that are left out: there is nothing to learn from yet.
        found = choose(project.images, arguments["number"], arguments["model"], progress=False)
    assert found.embeddings is not None
    places = {path.absolute(): place for place, path in enumerate(found.paths)}
    order = alike(found.embeddings)
    with project.session() as session:
        last = session.exec(select(func.max(Cell.rank))).one() or 0
        cells = session.exec(select(Cell).where(col(Cell.gone).is_(False)))
        for cell in cells:
            place = places.get(project.images / cell.path)
            if place is not None and cell.rank is None:
                cell.rank, cell.similar = last + place + 1, last + int(order[place])
                cell.guess = found.guesses[place]
    project.set("suggested", "\n".join(found.account.lines()))


def alike(embeddings: np.ndarray) -> np.ndarray:
    """Places `(N,)` in an order in which similar cells stand together: the leaves of a tree of clusters (average linkage)."""
    if len(embeddings) < 3:
        return np.arange(len(embeddings))
    leaves = leaves_list(linkage(embeddings.astype(np.float64), "average", optimal_ordering=True))
    places = np.empty(len(leaves), dtype=np.int64)
    places[leaves] = np.arange(len(leaves))
    return places
