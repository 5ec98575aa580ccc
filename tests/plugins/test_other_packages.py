"""Plug-ins of other packages, installed as pip leaves them: listed, checked, run, saved and loaded like cellda's own."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from cellda.plugin import REGISTRIES
from interpreter import install, python

ROOT = Path(__file__).parents[2]

INVERT = """
from cellda.plugin import Normalizer, register_normalizer

@register_normalizer("invert")
class Invert(Normalizer):
    '''Turns every colour into its complement.'''

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, images, mask=None):
        return (images + self.strength * (1 - 2 * images)).clamp(0, 1)
"""
PATIENCE = """
from cellda.plugin import Adapter, Need, register_adapter, tunable

@register_adapter("other")
class Other:
    '''Not what is listed.'''

@register_adapter("patience")
class Patience(Adapter):
    '''Waits. Nobody et al. 2020.'''

    needs = frozenset({Need.LABELS})
    effects = frozenset()
    rate: float = tunable(1e-4, low=1e-5, high=1e-2, log=True)

    def adapt(self, model, target, context):
        return model

    def image_passes(self, offer):
        return 0
"""
POINTS = """
[cellda.normalizers]
invert = stainlab.invert:Invert
[cellda.adapters]
patience = stainlab.patience:Patience
"""
SAID = """
from cellda.errors import CelldaError

def said(run):
    try:
        run()
    except CelldaError as error:
        return str(error)
    raise AssertionError("it was accepted")
"""


@pytest.fixture
def stainlab(tmp_path: Path) -> Path:
    return install(tmp_path, "stainlab", {"invert": INVERT, "patience": PATIENCE}, POINTS)


def test_they_are_listed_by_their_own_docstrings_without_import(stainlab: Path):
    python(
        """
        import sys
        from cellda import adapters, normalizers
        assert "invert" in normalizers.names() and "patience" in adapters.names()
        assert normalizers.summary("invert") == "Turns every colour into its complement."
        assert adapters.summary("patience") == "Waits. Nobody et al. 2020."
        assert "torch" not in sys.modules and "stainlab.invert" not in sys.modules
        """,
        stainlab,
    )


def test_they_are_built_and_checked_like_our_own(stainlab: Path):
    code = """
import torch
from cellda import adapters, normalizers
from cellda.plugins.settings import search_space

invert = normalizers.create("invert", strength=1.0)
assert invert.name == "invert"
assert torch.equal(invert(torch.zeros(1, 3, 2, 2)), torch.ones(1, 3, 2, 2))
assert "did you mean 'strength'" in said(lambda: normalizers.create("invert", strenght=1.0))
assert "did you mean 'rate'" in said(lambda: adapters.create("patience", rat=1.0))
assert "field 'strength'" in said(lambda: normalizers.create("invert", strength="much"))
assert "did you mean 'invert'" in said(lambda: normalizers.get("invrt"))
assert search_space(type(adapters.create("patience")))["rate"].high == 1e-2
"""
    python(SAID + code, stainlab)


INCOMPLETE = {
    "adapters": ("Adapter", "def adapt(self, model, target, context): ...", "does not define image_passes"),
    "heads": ("Head", "", "does not define forward"),
    "selectors": ("Selector", "uses = frozenset()", "does not define scores"),
    "suggesters": ("Suggester", "", "does not define chosen"),
    "normalizers": ("Normalizer", "", "does not define forward"),
    "framing": ("Framing", "", "does not define box"),
    "datasets": ("CellDataset", "", "does not define _index"),
}
"""Of each kind: its base, the body of a class that is not a complete member, and what is said of it."""


HALFWAY = """
from cellda.plugin import REGISTRIES, {base}
register = REGISTRIES["{kind}"].register

@register("halfway")
class Halfway({base}):
    effects = frozenset()
    {body}

@register("stranger")
class Stranger:
    pass
"""


def test_classes_that_are_not_complete_are_refused_in_a_sentence(tmp_path: Path):
    modules = {
        kind: HALFWAY.format(kind=kind, base=base, body=body) for kind, (base, body, _) in INCOMPLETE.items()
    }
    points = "".join(
        f"[{REGISTRIES[kind].package}]\nhalfway = stainlab.{kind}:Halfway\nstranger = stainlab.{kind}:Stranger\n"
        for kind in INCOMPLETE
    )
    install(tmp_path, "stainlab", modules, points)
    ask = """
from cellda.plugin import REGISTRIES
for registry in REGISTRIES.values():
    print(said(lambda: registry.get("halfway")), said(lambda: registry.create("stranger")))
"""
    lines = dict(zip(REGISTRIES, python(SAID + ask, tmp_path).splitlines(), strict=True))
    for kind, (base, _, sentence) in INCOMPLETE.items():
        assert f"{sentence}; cellda.plugin.{base} requires it" in lines[kind]
        assert f"does not derive from cellda.plugin.{base}" in lines[kind]
        assert lines[kind].count(f"({tmp_path / 'stainlab' / kind}.py)") == 2


def test_a_selector_that_does_not_state_what_it_uses_is_told_what_there_is(tmp_path: Path):
    code = """
    from cellda.plugin import Selector, register_selector

    @register_selector("vague")
    class Vague(Selector):
        def scores(self, candidate, evidence):
            yield 1.0
    """
    points = "[cellda.selection.selectors]\nvague = stainlab.vague:Vague\n"
    install(tmp_path, "stainlab", {"vague": code}, points)
    ask = "from cellda.selection import selectors\nprint(said(lambda: selectors.get('vague')))"
    told = python(SAID + ask, tmp_path)
    assert "does not state its uses" in told
    assert "Use.POOL: the unlabelled pool" in told


ADAPTER = """
from cellda.plugin import Adapter, register_adapter, tunable

@register_adapter('{name}')
class Broken(Adapter):
    effects = frozenset()
"""
BROKEN = {
    "untyped": (
        ADAPTER.format(name="untyped") + "    rate = tunable(1.0, low=0.0, high=2.0)\n",
        r"the installed package stainlab cannot be loaded: its field 'rate' has no type; write `rate: float = \.\.\.`.*"
        r"untyped\.py, line \d\)\. Fix that file, or reinstall or uninstall the package",
    ),
    "renamed": (
        ADAPTER.format(name="whole"),
        r"The entry point 'renamed' of the installed package stainlab names the class stainlab\.renamed\.Broken, which "
        r".*renamed\.py registers as 'whole'; give the entry point in the group cellda\.adapters and the decorator the same",
    ),
    "missing": (
        "import a_library_that_is_not_there\n",
        r"stainlab cannot be loaded: ModuleNotFoundError: No module named 'a_library_that_is_not_there' "
        r"\(.*missing\.py, line 1\)\. Fix that file",
    ),
    "raising": (
        "LIMIT = 1 / 0\n",
        r"stainlab cannot be loaded: ZeroDivisionError: division by zero \(.*raising\.py, line 1\)",
    ),
    "invalid": (
        "class Broken(:\n",
        r"stainlab cannot be loaded: SyntaxError: invalid syntax \(.*invalid\.py, line 1\)",
    ),
    "absent": (
        "class Other: ...\n",
        r"stainlab cannot be loaded: AttributeError: module 'stainlab\.absent' has no attribute 'Broken' "
        r"\(module stainlab\.absent\)",
    ),
    "number": ("Broken = 1\n", r"stainlab, stainlab\.number:Broken, does not name a class"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, str]:
    """What is said of the broken plug-ins of one package, by name, when they are asked for."""
    points = "[cellda.adapters]\n" + "".join(f"{name} = stainlab.{name}:Broken\n" for name in BROKEN)
    modules = {name: code for name, (code, _) in BROKEN.items()}
    site = install(tmp_path_factory.mktemp("broken"), "stainlab", modules, points)
    ask = f"""
import json
from cellda import Recipe, adapters
names = {list(BROKEN)}
assert all(adapters.summary(name) is not None for name in names)  # the list is shown all the same
print(json.dumps({{name: said(lambda: Recipe(adapter=name)) for name in names}}))
"""
    return json.loads(python(SAID + ask, site))


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_loaded_is_a_sentence_with_package_file_and_remedy(told: dict[str, str], name: str):
    assert re.search(BROKEN[name][1], told[name]), told[name]


@pytest.mark.parametrize(
    ("signature", "sentence"),
    [
        (
            "strength=1.0",
            r"'strength' of stainlab\.invert\.Invert \(.*invert\.py\) has no type.*`strength: float`",
        ),
        (
            'strength: "Unseen" = 1.0',
            r"stainlab\.invert\.Invert \(.*invert\.py\) cannot be read: name 'Unseen' is not defined",
        ),
    ],
)
def test_an_option_without_a_type_is_a_sentence(tmp_path: Path, signature: str, sentence: str):
    code = INVERT.replace("strength: float = 1.0", signature)
    install(tmp_path, "stainlab", {"invert": code}, "[cellda.normalizers]\ninvert = stainlab.invert:Invert\n")
    ask = "from cellda import Recipe\nprint(said(lambda: Recipe(normalizer='invert')))"
    told = python(SAID + ask, tmp_path)
    assert re.search(sentence, told), told


# --- runs

RUN = """
import torch
import cellda.datasets
from cellda import CellClassifier, Recipe

def run(store, **edits):
    recipe = Recipe(**{
        "sources": [{"name": "synthetic/0", "options": {"per_class": 6}}],
        "backbone": {"name": "test_efficientnet", "weights": "none", "image_size": 32},
        "training": {"epochs": 1}, "few_shot": {"n": 18}, "search": None, "device": "cpu", **edits,
    })
    return recipe.run(cellda.datasets.load("synthetic/1", per_class=7), store=store, progress=False)

def predicted(model):
    return CellClassifier.load(model).predict(torch.full((1, 3, 32, 32), 0.4)).probabilities

def keep(result, file):
    torch.save((str(result.path / "model"), predicted(result.path / "model")), file)

def check(file):
    model, wanted = torch.load(file)
    assert torch.equal(predicted(model), wanted)
"""


def test_an_adapter_that_returns_no_model_is_refused_in_a_sentence(tmp_path: Path):
    code = PATIENCE.replace("return model", "...")
    install(
        tmp_path, "stainlab", {"patience": code}, "[cellda.adapters]\npatience = stainlab.patience:Patience\n"
    )
    told = python(
        SAID + RUN + f"print(said(lambda: run({str(tmp_path / 'store')!r}, adapter='patience')))", tmp_path
    )
    assert re.search(r"'patience' \w+( \w+)? a NoneType", told), told


STRETCH = """
import torch
from cellda.plugin import FeatureAdapter, Head, register_adapter, register_head

@register_head("stretch")
class Stretch(Head):
    '''Logits from the first numbers of an embedding.'''

    def __init__(self, width: int, classes: int, *, factor: float = 2.0) -> None:
        super().__init__(width, classes)
        self.factor = factor
        self.register_buffer("shift", torch.zeros(classes))

    def options(self):
        return {"factor": self.factor}

    def forward(self, embeddings):
        return self.factor * embeddings[:, : self.classes] + self.shift

@register_adapter("stretching")
class Stretching(FeatureAdapter):
    '''Puts that head in.'''

    effects = frozenset()

    def fit_head(self, head, features, context):
        made = Stretch(head.width, head.classes, factor=3.0)
        made.shift += features.support.mean()
        return made
"""
ADAPTER_POINT = "[cellda.adapters]\nstretching = stainlab.stretch:Stretching\n"
HEAD_POINT = "[cellda.models.heads]\nstretch = stainlab.stretch:Stretch\n"


@pytest.mark.parametrize(
    "adapter",
    ["stretching", pytest.param(["stretching", "prior_correction"], marks=pytest.mark.slow)],
    ids=str,
)
def test_a_head_of_another_package_is_loaded_in_a_new_process(tmp_path: Path, adapter: object):
    site = install(tmp_path / "site", "stainlab", {"stretch": STRETCH}, ADAPTER_POINT + HEAD_POINT)
    kept = str(tmp_path / "kept")
    python(RUN + f"keep(run({str(tmp_path)!r}, adapter={adapter!r}), {kept!r})", site)
    python(RUN + f"check({kept!r})", site)


@pytest.mark.slow
def test_a_head_without_an_entry_point_says_in_a_new_process_where_it_is_registered(tmp_path: Path):
    site = install(tmp_path / "site", "stainlab", {"stretch": STRETCH}, ADAPTER_POINT)
    kept = str(tmp_path / "kept")
    python(RUN + f"keep(run({str(tmp_path)!r}, adapter='stretching'), {kept!r})", site)
    told = python(SAID + RUN + f"print(said(lambda: check({kept!r})))", site)
    assert "its head 'stretch' was registered by the module stainlab.stretch" in told
    assert "entry point in the group cellda.models.heads" in told
    python("import stainlab.stretch" + RUN + f"check({kept!r})", site)  # the remedy that it names


# --- the guide


@pytest.fixture(scope="module")
def wardlab(tmp_path_factory) -> Path:
    """The package of docs/plugins.md, from its code and its entry points, installed."""
    guide = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in guide.split("```python\n")[1:]]
    modules = {re.match(r"# wardlab/(\w+)\.py\n", block)[1]: block for block in blocks}
    project = tomllib.loads(guide.split("```toml\n")[1].partition("```")[0])["project"]
    points = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in members.items())
        for group, members in project["entry-points"].items()
    ]
    return install(tmp_path_factory.mktemp("ward"), "wardlab", modules, "".join(points))


def test_the_guide_has_a_plugin_of_every_kind_and_imports_from_one_place(wardlab: Path):
    points = (wardlab / "wardlab-1.0.dist-info" / "entry_points.txt").read_text()
    listed = python(
        "from cellda.plugin import REGISTRIES\nfor kind in REGISTRIES.values(): print(kind.package)"
    )
    assert set(re.findall(r"\[(.+)\]", points)) == set(listed.split())
    for file in (wardlab / "wardlab").glob("*.py"):
        assert set(re.findall(r"from (cellda\S*) import", file.read_text())) <= {"cellda.plugin"}


def test_the_plugins_of_the_guide_keep_their_contract_and_do_what_they_say(wardlab: Path):
    python(
        """
        import tempfile
        from pathlib import Path
        import numpy as np
        import torch
        from cellda import adapters, datasets, framing, normalizers
        from cellda.models import heads
        from cellda.plugin import Cells
        from cellda.suggestion import suggesters
        from cellda.plugins.settings import search_space

        assert set(search_space(adapters.get("batchnorm_only"))) == {"lr", "epochs"}

        generator = torch.Generator().manual_seed(0)
        points, labels = torch.randn(200, 3, generator=generator), torch.arange(200) % 2
        points[:, 0] += 4 * labels
        head = heads.create("mahalanobis", 3, 2)
        head.fit(points, labels, 0.2)
        assert (head(points).argmax(1) == labels).float().mean() > 0.9

        tinted = torch.rand(2, 3, 16, 16) * torch.tensor([0.8, 0.5, 0.6])[:, None, None]
        smear = torch.ones(2, 16, 16, dtype=torch.bool)
        grey = normalizers.create("grey_world", level=0.4)(tinted, smear)
        assert torch.allclose(grey.mean((2, 3)), torch.full((2, 3), 0.4), atol=0.02), grey.mean((2, 3))

        picture = torch.zeros(8, 10, 3, dtype=torch.uint8)
        picture[4:, 5:] = 200
        assert framing.create("bright").box(picture.numpy()) == (5, 4, 5, 4)

        seen = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.8, 0.2]])
        cells = Cells(np.zeros((4, 2), np.float32), seen, np.array([1]), np.array([1]))
        assert suggesters.create("rarest").suggest(cells, 2).tolist() == [2, 3]

        root = Path(tempfile.mkdtemp())
        for name in ("p1/NEU_1.png", "p1/BLA_1.png", "p2/LYT_1.png"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).touch()
        ward = datasets.load("our_ward", root)
        assert ward.class_counts() == {"lymphocyte": 1, "neutrophil": 1}
        assert list(ward.table["group"]) == ["p1", "p2"]
        """,
        wardlab,
    )


def test_the_adapters_head_and_selector_of_the_guide_run_and_load_in_a_new_process(
    wardlab: Path, tmp_path: Path
):
    store, kept = str(tmp_path), str(tmp_path / "kept")
    search = {"trials": 2, "folds": 2, "selector": "worst_class"}
    code = f"""
result = run({store!r}, adapter="class_gaussians", search={search})
assert result.record.selector == "worst_class" and len(result.trials) == 2
keep(result, {kept!r})
run({store!r}, adapter={{"name": "batchnorm_only", "epochs": 2}})
"""
    python(RUN + code, wardlab)
    python(RUN + f"check({kept!r})", wardlab)
