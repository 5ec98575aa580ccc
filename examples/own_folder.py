"""Your own images in one folder per class: adapt a classifier to some of them, save it, and classify new files.

python examples/own_folder.py ~/my_cells --source barcelona --data ~/wbc
"""

import argparse
from pathlib import Path

import cellda.datasets
from cellda import CellClassifier, Recipe


def main(
    folder: Path, source: str, data: Path | None, n: int, store: Path, recipe: Recipe | None = None
) -> list[str | None]:
    """Adapt a classifier to the images in `folder` and classify its first images with the saved model.

    Args:
        folder: One folder per class, named in any of the usual ways (`neutrophil`, `NEU`, `Segmented neutrophils`, ...).
        source: Dataset to train on.
        data: Folder that holds the source under its name; synthetic sources need none.
        n: Number of labelled images to adapt with; the result is measured on the rest.
        store: Folder of the results.
        recipe: A recipe to use instead of the preset `laptop`.

    Returns:
        The predicted classes of the first images; None for one that does not show one cell.
    """
    cells = cellda.datasets.load("folder", folder)
    print(f"{len(cells)} images: {cells.class_counts()}")

    chosen = (recipe or Recipe.preset("laptop")).with_(sources=[source], few_shot={"n": n})
    result = chosen.run(cells, data, store=store)
    print(result)

    saved = result.save(store / f"classifier-{result.digest}")
    print(f"Saved in {saved}")
    classifier = CellClassifier.load(saved / "model")
    paths = [cells.folder / path for path in cells.table["path"][:5]]
    predicted = classifier.predict(paths)
    for path, label, flag in zip(paths, predicted.labels, predicted.flags, strict=True):
        print(f"{path.name}: {label or 'no class'}{f', look at it: {flag}' if flag else ''}")
    return predicted.labels


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", default="barcelona")
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--store", type=Path, default=Path("cellda-results"))
    given = parser.parse_args()
    main(given.folder, given.source, given.data, given.n, given.store)
