"""Calls that a type checker must refuse; the word behind `error:` must be in what it says. Never run."""

from pathlib import Path

import cellda.datasets
from cellda import CellClassifier, Recipe, RunResult, adapters, normalizers, presets
from cellda.plugins.settings import tunable

recipe = Recipe()

# The fields of a recipe, by name and by type.
Recipe(adaptor="full")  # error: adaptor
Recipe(adapter=3)  # error: adapter
Recipe(few_shot=40)  # error: few_shot
Recipe(seed="one")  # error: seed
Recipe(protocol="papr")  # error: protocol
Recipe(pool="both")  # error: pool
Recipe(device="gpu")  # error: device
Recipe(search=True)  # error: search
Recipe("full")  # error: positional
recipe.with_(sed=1)  # error: sed
recipe.with_(seed="one")  # error: seed
recipe.with_(backbone="resnet18")  # error: backbone
shot = recipe.few_shot.m  # error: "m"

# Running one.
recipe.run()  # error: target
recipe.run(3)  # error: run
recipe.run("raabin", dta="~/wbc")  # error: dta
recipe.run("raabin", "~/wbc", "store")  # error: positional
recipe.adapt(unlabelled=3)  # error: unlabelled
Recipe.preset(1)  # error: preset
Recipe.from_yaml(b"seed: 1")  # error: from_yaml
presets.summary()  # error: name

# What comes of it.
result = recipe.run("synthetic/1")
table = result.prediction  # error: prediction
accuracy: str = recipe.seed  # error: str
RunResult.load()  # error: folder
CellClassifier.load("model").predict("image.png", 3)  # error: argument

# Registries, and the fields of a plug-in.
cellda.datasets.load(3)  # error: load
cellda.datasets.load(Path("raabin"))  # error: load
adapters.create()  # error: rgument
adapters.get(3)  # error: str
normalizers.create(3)  # error: str
tunable()  # error: default
tunable(1e-4, lo=1e-5, high=1e-2, log="yes")  # error: log
