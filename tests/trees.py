"""Small trees in the published layouts, drawn by the tests: each builder returns the class counts it made."""

import csv
import hashlib

import numpy as np
from PIL import Image


def picture(file, seed=None, size=(12, 10)):
    """Write a small image; its pixels follow from the file's path unless a seed is given."""
    file.parent.mkdir(parents=True, exist_ok=True)
    seed = int(hashlib.sha256(str(file).encode()).hexdigest()[:8], 16) if seed is None else seed
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


def barcelona(root):
    top = root / "PBC_dataset_normal_DIB"
    for folder, names in {
        "basophil": ["BA_10", "BA_9"], "eosinophil": ["EO_1"], "erythroblast": ["ERB_1"], "ig": ["MY_1", "PMY_2"],
        "lymphocyte": ["LY_1"], "monocyte": ["MO_1"], "neutrophil": ["BNE_1", "SNE_2", "NEUTROPHIL_3"],
        "platelet": ["PLATELET_1"],
    }.items():  # fmt: skip
        for name in names:
            picture(top / folder / f"{name}.jpg")
    (top / "neutrophil" / ".DS_169665.jpg").write_bytes(b"no image")
    return {
        "basophil": 2,
        "eosinophil": 1,
        "erythroblast": 1,
        "lymphocyte": 1,
        "monocyte": 1,
        "neutrophil": 3,
    }


def munich_2019(root):
    top = root / "AML-Cytomorphology_LMU"
    codes = "BAS EBO EOS KSC LYA LYT MMZ MOB MON MYB MYO NGB NGS PMB PMO"
    for code in codes.split():
        picture(top / code / f"{code}_0001.tiff")
    (root / "annotations.dat").write_text("")
    return {
        "basophil": 1,
        "eosinophil": 1,
        "erythroblast": 1,
        "lymphocyte": 1,
        "monocyte": 1,
        "neutrophil": 2,
    }


def raabin(root):
    for split in ("Train", "TestA", "TestB"):
        for folder in ("Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil"):
            picture(root / split / folder / "95-8-12-5_82_1.jpg")
            picture(root / split / folder / "20190526_162951_0.jpg")
    return {"basophil": 6, "eosinophil": 6, "lymphocyte": 6, "monocyte": 6, "neutrophil": 6}


def bccd(root):
    for split, photos in {"TRAIN": (0, 1), "TEST": (0,), "TEST_SIMPLE": (0,)}.items():
        for folder in ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL"):
            for photo in photos:
                for copy in (7, 1169)[: 1 if split == "TEST_SIMPLE" else 2]:
                    picture(root / "dataset2-master" / "images" / split / folder / f"_{photo}_{copy}.jpeg")
    return {"eosinophil": 6, "lymphocyte": 6, "monocyte": 6, "neutrophil": 6}


def jin_woo_choi(root):
    for stage in range(10):
        for number in (1, 2, 10):
            picture(root / "data_WBC_torch" / str(stage) / f"{number}.jpg")
    return {"erythroblast": 9, "neutrophil": 6}


def zheng(root, number, header):
    codes = [2, 1, 1, 3, 4, 5]
    for image, _ in enumerate(codes, start=1):
        picture(root / f"Dataset {number}" / f"{image:03d}.bmp")
        picture(root / f"Dataset {number}" / f"{image:03d}.png")
    lines = [header, *(f"{image},{code}" for image, code in enumerate(codes, start=1))]
    (root / f"Class Labels of Dataset {number}.csv").write_text("\r\n".join(lines) + "\r\n", newline="")
    return {"basophil": 1, "eosinophil": 1, "lymphocyte": 1, "monocyte": 1, "neutrophil": 2}


def jiangxi_tecom(root):
    return zheng(root, 1, "image ID,class label")


def cellavision_blog(root):
    return zheng(root, 2, "image ID,class")


def folder(root):
    picture(root / "Neutrophils" / "a.png")
    picture(root / "Neutrophils" / "patient 1" / "b.png")
    picture(root / "NGB" / "patient 1" / "c.tif")
    picture(root / "lymph" / "a.png")
    picture(root / "other" / "smudge.png")
    return {"lymphocyte": 1, "neutrophil": 3}


def table(root):
    picture(root / "images" / "field.png")
    picture(root / "images" / "cell.png")
    with (root / "cells.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [
                ("path", "label", "group", "x", "y", "w", "h", "remark"),
                ("images/field.png", "seg", "p1", 0, 0, 5, 5, ""),
                ("images/field.png", "band", "p1", 5, 5, 7, 5, "pale"),
                ("images/cell.png", "LYT", "", "", "", "", "", ""),
                ("images/cell.png", "platelet", "", 1, 1, 2, 2, ""),
            ]
        )
    return {"lymphocyte": 1, "neutrophil": 2}


def munich_2021(root):
    top = root / "BM_cytomorphology_data"
    codes = "ABE ART BAS BLA EBO EOS FGC HAC KSC LYI LYT MMZ MON MYB NGB NGS NIF OTH PEB PLM PMO"
    for code in codes.split():
        picture(top / code / "0001-1000" / f"{code}_00001.jpg")
    picture(top / "NGS" / "1001-2000" / "NGS_01001.jpg")
    return {
        "basophil": 1,
        "eosinophil": 2,
        "erythroblast": 1,
        "lymphocyte": 2,
        "monocyte": 1,
        "neutrophil": 3,
    }


def lisc(root):
    top = root / "LISC Database"
    for name in ("Baso", "eosi", "lymp", "mixt", "mono", "neut"):
        for number in (1, 2):
            picture(top / "Main Dataset" / name / f"{number}.bmp", size=(720, 576))
            mask(top, name, number, (100, 60, 180, 160))
    return dict.fromkeys(["basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil"], 2)


def mask(top, name, number, cell, size=(720, 576)):
    """Write a mask as the experts drew them: nucleus white, cytoplasm grey, `cell` = left, top, right, bottom."""
    left, upper, right, lower = cell
    pixels = np.zeros((size[1], size[0]), np.uint8)
    pixels[upper:lower, left:right] = 128
    pixels[upper + 1 : lower - 1, left + 1 : right - 1] = 255
    file = top / "Ground Truth Segmentation" / name / "areaforexpert1" / f"{number}_expert.bmp"
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def jslh(root):
    stages = (
        "segmented neutrophil", "band neutrophil", "basophilic erythroblast", "polychromatic erythroblast",
        "orthochromatic erythroblast", "proerythroblast", "myeloblast", "promyelocyte", "metamyelocyte",
    )  # fmt: skip
    for stage in stages:
        picture(root / stage / "1.png", size=(85, 74))
    return {"erythroblast": 3, "neutrophil": 2}


def tianjin(root):
    picture(root / "1.png", size=(600, 500))
    voc(root / "1.xml", ("Neutrophil", 290, 240, 310, 260), ("basophil", 20, 400, 120, 480))
    picture(root / "2.png", size=(300, 260))
    voc(root / "2.xml", ("monocyte", 10, 10, 100, 90))
    return {"basophil": 1, "monocyte": 1, "neutrophil": 1}


def voc(file, *cells):
    """Write a Pascal VOC annotation; cells are name, xmin, ymin, xmax, ymax."""
    file.parent.mkdir(parents=True, exist_ok=True)
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax>"
        f"<ymax>{bottom}</ymax></bndbox></object>"
        for name, left, top, right, bottom in cells
    )
    file.write_text(f"<annotation><filename>{file.stem}.png</filename>{objects}</annotation>")


def bloodmnist(root, side=28, name=None, counts=(12, 8, 8)):
    """Codes 0 to 7 in turn; the cells of a split differ by their brightness."""
    root.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        rng = np.random.default_rng([side, count, ord(split[1])])
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count, dtype=np.uint8) % 8)[:, None]
    np.savez_compressed(root / (name or f"bloodmnist_{side}.npz"), **arrays)
    return {
        "basophil": 4,
        "eosinophil": 4,
        "erythroblast": 4,
        "lymphocyte": 3,
        "monocyte": 3,
        "neutrophil": 3,
    }


TREES = {
    f.__name__: f
    for f in (
        barcelona,
        munich_2019,
        munich_2021,
        raabin,
        bccd,
        jin_woo_choi,
        jiangxi_tecom,
        cellavision_blog,
        lisc,
        jslh,
        tianjin,
        bloodmnist,
        folder,
        table,
    )
}
FILES = {"table": "cells.csv"}
"""What is given as root where that is not the folder itself."""
