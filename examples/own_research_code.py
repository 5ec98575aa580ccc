"""Parts of cellda in research code of your own: a normalizer in a torchvision pipeline, cells in a DataLoader, your own model.

python examples/own_research_code.py
"""

import timm
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import cellda
import cellda.datasets
import cellda.normalizers
from cellda.datasets import CellDataset

SIDE = 64


def main(cells: CellDataset | None = None, labelled: int = 18) -> float:
    """Adapt a timm model to some cells and return its accuracy on the others.

    Args:
        cells: The cells of a laboratory; by default rendered ones.
        labelled: Number of cells whose labels are used.
    """
    cells = cells or cellda.datasets.load("synthetic/1", per_class=12)

    # A normalizer is a module: it stands in any pipeline, on images (3, H, W) or batches of them.
    transform = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize((SIDE, SIDE)),
            v2.ToDtype(torch.float32, scale=True),
            cellda.normalizers.create("reinhard"),
        ]
    )
    data = cells.to_torch(transform)
    print(f"{len(data)} cells of {', '.join(data.classes)}")
    batches = list(DataLoader(data, batch_size=16))
    images = torch.cat([batch for batch, _ in batches])
    labels = torch.cat([batch for _, batch in batches])

    # Any timm model, with or without its classifier, or any encoder (B, 3, H, W) -> (B, D).
    torch.manual_seed(0)
    encoder = timm.create_model("test_efficientnet", num_classes=0)
    order = torch.randperm(len(images))
    few, rest = order[:labelled], order[labelled:]
    model = cellda.adapt_model(
        encoder,
        images[few],
        labels[few],
        adapter={"name": "l2_sp", "epochs": 5},
        classes=data.classes,
        device="cpu",
    )

    # What comes back is a module, too: model(batch) gives logits with gradients.
    accuracy = float((model.predict_proba(images[rest]).argmax(1) == labels[rest]).float().mean())
    print(f"accuracy {accuracy:.2f} on {len(rest)} other cells (a random network, so near chance)")
    return accuracy


if __name__ == "__main__":
    main()
