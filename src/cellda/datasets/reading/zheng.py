"""The layout that Jiangxi Tecom and the CellaVision blog share (published together by Zheng et al. 2018)."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from cellda.datasets.base import cell_table
from cellda.datasets.reading.account import Tally
from cellda.datasets.reading.layout import locate
from cellda.datasets.reading.sheet import read_sheet
from cellda.datasets.reading.survey import survey
from cellda.errors import DataError
from cellda.text import counted

CODES = {"1": "neutrophil", "2": "lymphocyte", "3": "monocyte", "4": "eosinophil", "5": "basophil"}
"""The class codes of the published label files, as their README defines them."""

_NUMBER = re.compile(r"[0-9]{1,9}")


def located(root: Path, number: int, owner: str) -> Path:
    """The folder that holds `Dataset <number>` and its label file."""
    return locate(root, ["segmentation_WBC", "segmentation_WBC-master"], [f"Dataset {number}"], owner)


def survey_images(tally: Tally, root: Path, number: int, cells: Iterable[str]) -> None:
    """Enter what lies next to the images of `Dataset <number>`; the other dataset of the download is a neighbour."""
    survey(tally, root, [f"Dataset {number}"], cells)


def labelled_cells(folder: Path, number: int, codes: Mapping[str, str] = CODES) -> pd.DataFrame:
    """Cells of `Dataset <number>`: `001.bmp`, ..., labelled in `Class Labels of Dataset <number>.csv`.

    The two label files name their columns differently, so columns are identified by position: image number, class code.

    Raises:
        DataError: If the label file is missing, or its lines are malformed or name missing images; the message
            lists them all.
    """
    file = folder / f"Class Labels of Dataset {number}.csv"
    if not file.is_file():
        raise DataError(
            f"The label file {file} does not exist; it is published next to the folder 'Dataset {number}'."
        )
    paths: dict[str, str] = {}
    problems = []
    for line, cells in read_sheet(file, ()).rows:
        if len(cells) < 2 or not _NUMBER.fullmatch(cells[0]) or cells[1] not in codes:
            shown = cells if isinstance(cells, str) else f"'{','.join(cells)}'"
            problems.append(f"{line}: {shown} is not an image number and a code of {', '.join(codes)}")
            continue
        path = f"Dataset {number}/{int(cells[0]):03d}.bmp"
        if path in paths:
            problems.append(f"{line}: image {cells[0]} is labelled a second time")
        elif not (folder / path).is_file():
            problems.append(f"{line}: its image {path} does not exist")
        paths[path] = codes[cells[1]]
    if problems:
        raise DataError(f"{counted(len(problems), 'line(s)')} of {file} cannot be used.", problems)
    return cell_table(list(paths), list(paths.values()))
