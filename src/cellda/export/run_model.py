"""Classify images with an ONNX file that cellda exported. It needs onnxruntime, numpy and Pillow, and not cellda.

    python run_model.py model.onnx cell_1.png cell_2.png

Prints one line of CSV an image. Research use only. Every image shows one cell. If the model needs framed crops, the script
says so: it only resizes. Give it crops that are framed, or use `cellda predict`, which frames.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

AT_ONCE = 32


def pixels_of(file: str, side: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """An image as bytes `(3, S, S)`, RGB."""
    with Image.open(file) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1)


def main(model: str, files: list[str]) -> None:
    """Print the most probable class and all probabilities of every image."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    classes, side = json.loads(facts["classes"]), int(facts["input_size"])
    framing = json.loads(facts["framing"])
    if framing["name"] != "none":
        print(
            f"{Path(model).name} was trained on crops of the framing {framing}: these must be such crops. Whole images give "
            "other, worse predictions; `cellda predict` frames them.",
            file=sys.stderr,
        )
    if facts.get("left_out"):
        print(f"{Path(model).name} is without its {facts['left_out']}.", file=sys.stderr)
    table = csv.writer(sys.stdout)
    table.writerow(["path", "predicted", *classes])
    for start in range(0, len(files), AT_ONCE):
        part = files[start : start + AT_ONCE]
        batch = np.stack([pixels_of(file, side) for file in part])
        for file, row in zip(part, session.run(["probabilities"], {"pixels": batch})[0], strict=True):
            table.writerow([file, classes[int(row.argmax())], *(f"{value:.6f}" for value in row)])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
