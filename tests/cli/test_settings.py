"""`--set FIELD=VALUE`: what is written arrives in the recipe, typed, or is refused in a sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from cellda import Recipe
from cellda.cli import settings
from cellda.cli.recipes import edited_recipe
from cellda.errors import ConfigurationError
from tiny import recipe as tiny

BASE = tiny()
CHAIN = tiny(adapter=[{"name": "full", "epochs": 2}, "tta"])


def applied(*texts: str, to: Recipe = BASE) -> Recipe:
    return settings.apply(to, texts)


# --- what is written arrives


@given(st.floats(min_value=1e-9, max_value=1e3))
@example(1e-4)
def test_any_number_arrives_as_it_is_written(rate: float):
    """Python writes 1e-05, which YAML 1.1 reads as a word."""
    changed = applied(f"training.lr={rate!r}", f"adapter.lr={rate!r}")
    assert changed.training.lr == rate
    assert changed.adapter.lr == rate
    assert isinstance(changed.training.lr, float)


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "few_shot.n": st.none() | st.integers(1, 500),
    "few_shot.draw": st.integers(0, 99),
    "few_shot.kind": st.sampled_from(["balanced", "stratified", "random", "all"]),
    "training.one_cycle": st.booleans(),
    "training.stain_jitter": st.floats(0, 9),
    "adapter.epochs": st.integers(1, 50),
    "adapter.bn": st.sampled_from(["train", "frozen"]),
    "backbone.image_size": st.integers(1, 9).map(lambda number: 32 * number),
    "normalizer.mask": st.sampled_from(["padding", None]),
    "sources": st.lists(st.sampled_from(["raabin", "bccd", "lisc"]), min_size=1, unique=True),
    "pool": st.sampled_from(["query", "disjoint"]),
    "seed": st.integers(0, 10**9),
}


def written(value: Any) -> str:
    """A value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()


def nested(path: str, value: Any) -> dict[str, Any]:
    field, _, inside = path.partition(".")
    return {field: {inside: value} if inside else value}


@given(
    st.lists(st.sampled_from(sorted(FIELDS)), max_size=8).flatmap(
        lambda paths: st.tuples(*(st.tuples(st.just(path), FIELDS[path]) for path in paths))
    )
)
def test_settings_are_edits_in_their_order(edits: tuple[tuple[str, Any], ...]):
    """As `with_`, one after the other; the values go through YAML as a user would write them."""
    expected = BASE
    for path, value in edits:
        expected = expected.with_(**nested(path, value))
    texts = [f"{path}={written(value)}" for path, value in edits]
    assert applied(*texts) == expected


@pytest.mark.parametrize(
    ("texts", "edits"),
    [
        (["sources=[barcelona]"], {"sources": ["barcelona"]}),
        (["sources=barcelona"], {"sources": ["barcelona"]}),
        (["search=null"], {"search": None}),
        (["few_shot.n=null"], {"few_shot": {"n": None}}),
        (["search.trials=5"], {"search": {"trials": 5}}),
        (["training.one_cycle=true"], {"training": {"one_cycle": True}}),
        (["pool='disjoint'"], {"pool": "disjoint"}),
        (['pool="disjoint"'], {"pool": "disjoint"}),
        (["few_shot={n: 30, draw: 2}", "few_shot.draw=3"], {"few_shot": {"n": 30, "draw": 3}}),
        (["few_shot.n=30", "few_shot={draw: 2}"], {"few_shot": {"n": 30, "draw": 2}}),
        (["few_shot.n=30", "few_shot.n=31"], {"few_shot": {"n": 31}}),
        # Only together are these two valid, in either order.
        (
            ["backbone.weights=packaged", "backbone.name=tf_efficientnet_lite0"],
            {"backbone": {"weights": "packaged", "name": "tf_efficientnet_lite0"}},
        ),
        # A plug-in that is named comes with its own defaults, and what is set behind it is set in it.
        (["adapter=full"], {"adapter": "full"}),
        (["adapter=full", "adapter.lr=1e-4"], {"adapter": {"name": "full", "lr": 1e-4}}),
        (["adapter.name=full", "adapter.lr=1e-4"], {"adapter": {"name": "full", "lr": 1e-4}}),
        (["adapter.lr=1e-4", "adapter=full"], {"adapter": {"name": "full", "lr": 1e-4}}),
        (["adapter=head_only", "adapter.epochs=3"], {"adapter": {"name": "head_only", "epochs": 3}}),
        (["target_normalizer=identity"], {"target_normalizer": "identity"}),
        (["adapter=adabn+lp_ft"], {"adapter": ["adabn", "lp_ft"]}),
        (
            ["adapter=full+tta", "adapter.full.lr=1e-4", "adapter.full.epochs=3"],
            {"adapter": [{"name": "full", "lr": 1e-4, "epochs": 3}, "tta"]},
        ),
        (
            ["sources=[raabin, bccd]", "sources.raabin.degrade=true"],
            {"sources": [{"name": "raabin", "degrade": True}, "bccd"]},
        ),
    ],
)
def test_what_settings_mean(texts: list[str], edits: dict[str, Any]):
    assert applied(*texts) == BASE.with_(**edits)


def test_members_of_a_chain_keep_their_other_values():
    changed = applied("adapter.full.lr=1e-4", to=CHAIN)
    assert changed == tiny(adapter=[{"name": "full", "epochs": 2, "lr": 1e-4}, "tta"])
    # Whoever names `epochs` gets those, as without a chain.
    assert applied("adapter.full.epochs=3", to=tiny(adapter="full+tta")).adapter.parts()[0].min_steps == 0


def test_options_of_one_source_are_set_alone():
    changed = applied("sources.synthetic/0.degrade=true")
    (source,) = changed.sources
    assert (source.degrade, source.options) == (True, BASE.sources[0].options)


# --- what is refused


@pytest.mark.parametrize(
    "text", ["few_shot.n", "=3", "few_shot.=3", ".n=3", "few_shot..n=3", "few_shot.n=", " "]
)
def test_what_is_no_setting(text: str):
    with pytest.raises(ConfigurationError, match=r"--set takes FIELD=VALUE, such as .* got '"):
        settings.parse([text])


def test_what_is_not_yaml():
    with pytest.raises(
        ConfigurationError, match=r"value of --set sources=\[barcelona is not YAML in line 1: .* expected"
    ):
        settings.parse(["sources=[barcelona"])


@given(st.text(max_size=20))
@example("2026-13-32")  # for YAML a date, which there is not
@example("\0")
@example("{[1]: 2}")
def test_any_value_is_read_or_refused_in_a_sentence(value: str):
    try:
        settings.parse([f"seed={value}"])
    except ConfigurationError as error:
        refused = str(error)
    else:
        refused = None
    assert refused is None or "--set" in refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adapter.lrr=1e-4", r"(?s)--set adapter\.lrr=1e-4: .*unknown field 'lrr': did you mean 'lr'"),
        ("normalizer.spce=lab", r"(?s)--set normalizer\.spce=lab: .*did you mean 'space'"),
        ("adapter.lr=fast", r"(?s)--set adapter\.lr=fast: .*field 'lr'"),
        ("adapter.full.lr=1e-4", r"(?s)adapter\.full\.lr=1e-4: .*unknown field 'full'"),
        ("target_normalizer.space=lab", r"(?s)'target_normalizer.name' is missing"),
        ("sources.synthetic.degrade=true", r"'sources' is a list .*sources\.synthetic/0\.FIELD=VALUE"),
        ("sources.0.degrade=true", r"'0' is not in it: .*known: synthetic/0"),
    ],
)
def test_what_the_recipe_refuses(text: str, message: str):
    with pytest.raises(ConfigurationError, match=message):
        applied(text)


@pytest.mark.parametrize("text", ["adapter.lr=1e-4", "adapter.ful.lr=1e-4"])
def test_fields_of_a_chain_need_the_name_of_a_member(text: str):
    with pytest.raises(
        ConfigurationError, match=r"'adapter' is a list \(full, tta\).*adapter\.full\.FIELD=VALUE"
    ):
        applied(text, to=CHAIN)


@pytest.mark.parametrize(
    ("texts", "parts"),
    [
        (["few_shot.nn=3", "seed=-1"], ["'few_shot.nn': did you mean 'n'", "'seed'"]),
        (["few_shots.n=3"], ["'few_shots': did you mean 'few_shot'"]),
        (["training.lr=x"], ["'training.lr'", "got 'x'"]),
        (["backbone.image_siz=64"], ["'backbone.image_siz': did you mean 'image_size'"]),
        (["pool=both"], ["'pool'", "'query' or 'disjoint'"]),
        (["adapter=ful+tta"], ["'adapter': There is no adapter 'ful'; did you mean 'full'"]),
        (["sources=[raabin, bcd]"], ["'sources': There is no dataset 'bcd'; did you mean 'bccd'"]),
        (["normalizer={name: reinhart}"], ["'normalizer': There is no normalizer 'reinhart'"]),
    ],
)
def test_names_and_values_that_no_recipe_has_are_listed(texts: list[str], parts: list[str]):
    with pytest.raises(ConfigurationError) as refused:
        edited_recipe(None, [], texts)
    assert all(part in str(refused.value) for part in parts)


# --- with the other options


def test_settings_come_last(tmp_path: Path):
    file = tmp_path / "recipe.yaml"
    file.write_text(tiny(seed=3).to_yaml(), encoding="utf-8")
    made = edited_recipe(
        file, ["head_only"], ["adapter.epochs=4", "few_shot.n=40"], few_shot={"n": 24, "draw": 2}, seed=None
    )
    head_only = {"name": "head_only", "epochs": 4}
    assert made == tiny(seed=3, adapter=head_only, target_normalizer=None, few_shot={"n": 40, "draw": 2})


def test_an_option_of_zero_was_given():
    assert edited_recipe(None, ["laptop"], [], seed=0, sources=[], adapter=None) == Recipe.preset("laptop")
