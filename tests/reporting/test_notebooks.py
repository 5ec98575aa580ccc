"""Results in notebooks: whole, escaped, without scripts."""

from html.parser import HTMLParser
from pathlib import Path

from cellda import Recipe
from cellda.reporting.tables.text_table import TextTable
from tiny import recipe, target


class Read(HTMLParser):
    """Tags and cells of a page, with every tag closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.texts, self._open = set(), [], []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._open.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


ALLOWED = {"div", "p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre"}


def test_a_table_is_escaped():
    evil = "<script>alert(1)</script>&\x1b[2J"
    read = Read(TextTable(evil, ("name", evil), ((evil, "1"),), (evil,))._repr_html_())
    assert read.tags <= ALLOWED
    assert sum("<script>alert(1)</script>&" in text for text in read.texts) == 4
    assert not any("\x1b" in text for text in read.texts)


def test_a_recipe_shows_what_differs():
    read = Read(Recipe()._repr_html_())
    assert "the default recipe" in read.texts
    read = Read(Recipe(seed=7, adapter={"name": "l2_sp", "alpha": 0.5}, few_shot={"n": 30})._repr_html_())
    cells = read.texts[: read.texts.index("all fields")]
    assert cells[cells.index("seed") + 1] == "7"
    assert cells[cells.index("few_shot.n") + 1] == "30"
    assert "alpha = 0.5" in cells[cells.index("adapter") + 1]
    assert "few_shot.draw" not in cells
    assert "backbone" not in cells
    assert read.tags <= ALLOWED


def test_a_result_shows_what_it_prints(tmp_path: Path):
    result = recipe(search={"trials": 2, "folds": 2}).run(target(), store=tmp_path, progress=False)
    read = Read(result._repr_html_())
    assert read.tags <= ALLOWED
    assert str(result.metrics.accuracy) in read.texts
    assert any(result.digest in text for text in read.texts)
    assert "search: 2 trials" in read.texts
    for name, one in result.metrics.per_class.items():
        assert any(text.rstrip("*") == name for text in read.texts)
        assert str(one.f1) in read.texts
