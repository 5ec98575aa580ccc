"""Prediction of a folder of JPEGs, from file to class, against Pillow and the bare timm model."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as TF

from benchmarks.speed import cells
from benchmarks.speed.contest import Peer, contest


def test_prediction(benchmark: Any, data_root: Path, tmp_path: Path) -> None:
    """192 images of Barcelona; cellda also normalizes their stain, the peers do not."""
    dataset = cells.some("barcelona", data_root, 32, tmp_path / "barcelona")
    files = cells.files(dataset)
    ours = cells.model().eval()
    bare = cells.model().encoder.eval()

    def tensor(file: Path) -> torch.Tensor:
        picture = Image.open(file).convert("RGB").resize((cells.SIZE, cells.SIZE))
        image: torch.Tensor = TF.to_dtype(TF.pil_to_tensor(picture), torch.float32, scale=True)
        return image

    @torch.no_grad()
    def single() -> None:
        for file in files:
            bare(tensor(file)[None])

    @torch.no_grad()
    def batched() -> None:
        for start in range(0, len(files), 64):
            bare(torch.stack([tensor(file) for file in files[start : start + 64]]))

    peers = {
        "Pillow + timm, one at a time": Peer(single, asked=3),
        "Pillow + timm, batches of 64": Peer(batched, asked=1),
    }
    contest(benchmark, "prediction", lambda: ours.predict(files), peers, images=len(files), rounds=7)
