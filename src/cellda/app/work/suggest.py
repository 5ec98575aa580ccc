"""The job that chooses which cells to label next."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from sqlmodel import col, func, select

from cellda.app.project.exchange import write_table
from cellda.app.project.labels import labels, to_label, usable
from cellda.app.project.project import Project
from cellda.app.project.tables import Cell
from cellda.suggestion.suggest import suggest as choose
from cellda.text import counted


def suggest(project: Project, arguments: Mapping[str, Any]) -> None:
    """Choose `number` cells, and enter them after those that were suggested before.

    Args:
        project: The project.
        arguments: `number`; `model`, a source model by name or folder; and `suggester`, by name.
    """
    project.read_folder()
    number, said = arguments["number"], labels(project)
    waiting = sum(cell.id not in said for cell in to_label(project))
    known = f"table={write_table(project)}" if usable(project) else None
    # Those that wait for their label may be chosen again: then the next best are taken.
    free = sum(cell.id not in said for cell in project.cells())
    asked = max(number, min(number + waiting, free))
    found = choose(
        project.images,
        asked,
        arguments["model"],
        suggester=arguments["suggester"],
        labelled=known,
        progress=False,
    )
    assert found.embeddings is not None
    with project.session() as session:
        cells = {
            str(project.images / cell.path): cell
            for cell in session.exec(select(Cell).where(col(Cell.gone).is_(False)))
        }
        fresh = [place for place, path in enumerate(found.paths) if cells[str(path.absolute())].rank is None]
        last = session.exec(select(func.max(Cell.rank))).one() or 0
        order = alike(found.embeddings[fresh[:number]])
        for new, place in enumerate(fresh[:number]):
            cell = cells[str(found.paths[place].absolute())]
            cell.rank, cell.similar, cell.guess = last + new + 1, last + int(order[new]), found.guesses[place]
    lines = list(found.account.lines())
    if len(fresh) < number:
        lines.append(
            f"Only {counted(len(fresh), 'cell(s)')} more could be chosen, of {number}: the others were chosen before."
        )
    project.set("suggested", "\n".join(lines))


def alike(embeddings: np.ndarray) -> np.ndarray:
    """Places `(N,)` in an order in which similar cells stand together: the leaves of a tree of clusters (average linkage)."""
    if len(embeddings) < 3:
        return np.arange(len(embeddings))
    leaves = leaves_list(linkage(embeddings.astype(np.float64), "average", optimal_ordering=True))
    places = np.empty(len(leaves), dtype=np.int64)
    places[leaves] = np.arange(len(leaves))
    return places
