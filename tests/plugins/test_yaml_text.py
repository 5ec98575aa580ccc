"""Recipes mean what they say: no key twice, no number or truth value that nobody wrote."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellda import Recipe
from cellda.errors import ConfigurationError
from cellda.plugins import yaml_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("1:30", "1:30"), ("no", "no"), ("off", "off"), ("true", True), ("1e-4", 1e-4), ("1e3", 1000.0),
        ("-3", -3), ("+.5", 0.5), ("0x10", "0x10"), ("2020-13-45", "2020-13-45"), ("2020-01-02", "2020-01-02"), ("~", None),
        ("", None), ("null", None), ("'010'", "010"), (".inf", math.inf), ("=", "="), ("1_000", "1_000"),
    ],
)  # fmt: skip
def test_words_mean_what_they_say(text: str, value: Any):
    read = yaml_text.load(text, "text")
    assert read == value
    assert type(read) is type(value)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(min_codepoint=33), max_size=5), inner)
    ),
    max_leaves=6,
)


@given(plain)
def test_what_is_written_is_read_back(value: Any):
    assert yaml_text.load(yaml_text.dump(value), "text") == value


def test_a_key_that_stands_twice_is_refused_with_its_lines(tmp_path: Path):
    file = tmp_path / "twice.yaml"
    file.write_text("seed: 1\nfew_shot: {n: 10}\nfew_shot: {n: 5}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"twice\.yaml.*'few_shot' stands twice, in lines 2 and 3"):
        Recipe.from_yaml(file)
    with pytest.raises(ConfigurationError, match="'n' stands twice"):
        Recipe.from_yaml("few_shot: {n: 10, n: 5}")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("few_shot: {n: true}", r"few_shot\.n.*a number, not true"),
        ("seed: false", "seed.*a number, not false"),
        ("training: {epochs: 1:30}", r"training\.epochs"),
        ("framing: {name: cell, factor: true}", "factor.*a number, not true"),
        ("adapter: {name: full, lr: yes}", r"lr.*\(got 'yes'\)"),
        ("[" * 3000, "nested more than 50 deep"),
        ("seed: " + "9" * 5000, "a number of 5000 digits"),
        ("seed: [1", "is not YAML in line"),
    ],
)
def test_what_nobody_would_write_on_purpose_is_refused_in_words(fields: str, message: str):
    with pytest.raises(ConfigurationError, match=message):
        Recipe.from_yaml(fields)


def test_the_depth_is_counted_in_each_branch_alone():
    assert yaml_text.load("\n".join(["- [1, {a: 2}]"] * 500), "text") == [[1, {"a": 2}]] * 500


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_recipes_are_read_as_editors_of_other_systems_write_them(tmp_path: Path, encoding: str):
    file = tmp_path / "r.yaml"
    file.write_bytes("# für unser Labor\nseed: 3\n".encode(encoding))
    assert Recipe.from_yaml(file).seed == 3
