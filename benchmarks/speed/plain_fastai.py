"""What a user would write with fastai: fine-tune an ImageNet network on labelled cells, and classify images with it.

    python -m benchmarks.speed.plain_fastai LABELLED MODEL
    python -m benchmarks.speed.plain_fastai IMAGES MODEL --save CSV

The network is that of the preset `laptop` with its packaged weights; epochs and augmentation are those of fastai's examples.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.common.options import command, command_line
from cellda import Recipe
from cellda.models.encoder import build_encoder

SIDE, BATCH, EPOCHS = 128, 16, 10


def learner_of(files: Sequence[Path], labels: Sequence[str]) -> Any:
    """A fastai learner with ImageNet weights, which come from a package instead of a hub."""
    from fastai.vision.all import ImageDataLoaders, Resize, aug_transforms, vision_learner

    loaders = ImageDataLoaders.from_lists(
        "/",
        list(files),
        list(labels),
        valid_pct=0.2,
        seed=0,
        item_tfms=Resize(SIDE),
        batch_tfms=aug_transforms(flip_vert=True),
        bs=BATCH,
        num_workers=0,
    )
    backbone = Recipe.preset("laptop").backbone
    learner = vision_learner(loaders, backbone.name, pretrained=False)
    weights = build_encoder(backbone).state_dict()
    body = learner.model[0].model
    own = body.state_dict()
    body.load_state_dict({name: weights[name] for name in own})
    learner.freeze()
    return learner


def train(labelled: Path, model: Path) -> None:
    """Fine-tune on one folder per class."""
    files = sorted(labelled.glob("*/*.png"))
    labels = [file.parent.name for file in files]
    learner = learner_of(files, labels)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(EPOCHS)
    model.mkdir(parents=True, exist_ok=True)
    torch.save(learner.model.state_dict(), model / "weights.pth")
    cells = {"files": [str(file) for file in files], "labels": labels}
    (model / "cells.json").write_text(json.dumps(cells), encoding="utf-8")


def predict(images: Path, model: Path, save: Path) -> None:
    """Classify all images of a folder."""
    cells = json.loads((model / "cells.json").read_text(encoding="utf-8"))
    learner = learner_of(list(map(Path, cells["files"])), cells["labels"])
    learner.model.load_state_dict(torch.load(model / "weights.pth", weights_only=True))
    files = sorted(images.glob("*.png"))
    with learner.no_bar(), learner.no_logging():
        probabilities, _ = learner.get_preds(dl=learner.dls.test_dl(files))
    classes = [learner.dls.vocab[index] for index in probabilities.argmax(1).tolist()]
    pd.DataFrame({"path": [str(file) for file in files], "predicted": classes}).to_csv(save, index=False)


def main(given: Sequence[str] | None = None) -> None:
    """Train, or predict if there is a table to save."""
    parser = command_line(__doc__)
    parser.add_argument("images", type=Path, help="labelled cells, one folder per class; or images")
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("--save", type=Path, help="table of predictions")
    chosen = parser.parse_args(given)
    if chosen.save is None:
        train(chosen.images, chosen.model)
    else:
        predict(chosen.images, chosen.model, chosen.save)


if __name__ == "__main__":
    command(main)
