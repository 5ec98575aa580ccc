"""Which targets of a prediction table have no groups, so that images of one patient may be on both sides of a draw."""

import pandas as pd


def without_groups(predictions: pd.DataFrame) -> list[str]:
    """The targets whose images are each a group of their own, as far as their rows show.

    A table states a group for every image: without groups it is the image itself, or, for identical images, the first of them.

    Args:
        predictions: A prediction table.

    Returns:
        Names of targets, sorted.
    """
    image = predictions["path"].str.partition("#xywh=")[0]
    found = []
    for target, rows in predictions.assign(image=image).groupby("target", sort=True):
        alone = rows["group"].isna() | rows["group"].isin(set(rows["image"]))
        if alone.all():
            found.append(str(target))
    return found
