"""Labels of a project: nothing that was said is lost, undone things come back, people are told apart."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import cohen_kappa_score

pytest.importorskip("sqlmodel", reason="the extra app is not installed")

from cellda.app.project.agreement import disagreements, pairs
from cellda.app.project.exchange import take_folder, take_groups, take_table, write_table
from cellda.app.project.labels import (
    DECIDED,
    NO_CELL,
    UNSURE,
    check_person,
    give,
    labels,
    notes,
    redo,
    said_by,
    undo,
    write_note,
)
from cellda.app.project.project import Project
from cellda.datasets import load
from cellda.errors import ConfigurationError, DataError

STEPS = st.lists(
    st.one_of(
        st.dictionaries(
            st.integers(1, 6), st.sampled_from(["basophil", "monocyte", NO_CELL, None]), min_size=1
        ),
        st.sampled_from(["undo", "redo"]),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_undo_and_redo_are_those_of_a_list_of_states(project, steps):
    person = f"p{len(said_by(project))} {id(steps)}"[:40]
    states, at = [{}], 0
    for step in steps:
        if step == "undo":
            undo(project, person)
            at = max(0, at - 1)
        elif step == "redo":
            redo(project, person)
            at = min(len(states) - 1, at + 1)
        else:
            give(project, [step], person)
            after = {cell: name for cell, name in {**states[at], **step}.items() if name is not None}
            states, at = [*states[: at + 1], after], at + 1
        assert said_by(project).get(person, {}) == states[at]


def test_labels_survive_a_restart(project, images):
    give(project, [{1: "monocyte"}, {2: "basophil", 3: "basophil"}], "me")
    again = Project(images)
    assert labels(again) == {1: "monocyte", 2: "basophil", 3: "basophil"}
    assert sorted(undo(again, "me")) == [2, 3]
    assert labels(project) == {1: "monocyte"}
    again.engine.dispose()


def test_what_is_no_label_is_refused_and_nothing_is_entered(project):
    for said, problem in (
        ({1: "monocyte", 2: "Monozyt"}, "'Monozyt' is no class"),
        ({99: "monocyte"}, "no cell 99"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            give(project, [said], "me")
    assert labels(project) == {}
    for name in ("", "  ", DECIDED, "x" * 41):
        with pytest.raises(ConfigurationError):
            check_person(name)


def test_two_people_are_compared_and_a_decision_holds(project):
    one = {1: "monocyte", 2: "monocyte", 3: "basophil", 4: UNSURE}
    other = {1: "monocyte", 2: "lymphocyte", 3: "basophil", 5: "basophil"}
    give(project, [one], "ann")
    give(project, [other], "ben")
    assert labels(project) == {1: "monocyte", 3: "basophil", 4: UNSURE, 5: "basophil"}
    [pair] = pairs(project)
    both = [[who[cell] for cell in (1, 2, 3)] for who in (one, other)]
    assert (pair.cells, pair.agreed) == (3, 2)
    assert pair.kappa == pytest.approx(cohen_kappa_score(*both))
    [open_] = disagreements(project)
    assert (open_.cell, open_.said, open_.decided) == (2, {"ann": "monocyte", "ben": "lymphocyte"}, "")
    give(project, [{2: "lymphocyte"}], DECIDED)
    assert labels(project)[2] == "lymphocyte"
    assert [one.decided for one in disagreements(project)] == ["lymphocyte"]


def test_the_table_is_read_as_it_is_meant_and_comes_back(project, tmp_path):
    give(project, [{1: "monocyte", 2: NO_CELL, 3: UNSURE, 4: "basophil"}], "me")
    write_note(project, 4, "me", "nice one")
    file = write_table(project)
    found = load("table", file)
    assert sorted(found.table["label"]) == ["basophil", "monocyte"]
    assert set(found.table["group"]) <= {"anna/slide 0", "anna/slide 1"}
    assert len(found.dropped) == 1
    number, _ = take_table(project, file, "another")
    assert number == 3
    assert said_by(project)["another"] == {1: "monocyte", 2: NO_CELL, 4: "basophil"}
    assert notes(project)[4] == {"me": "nice one"}
    (tmp_path / "foreign.csv").write_text("path,label\n/nowhere/x.png,monocyte\n")
    with pytest.raises(DataError):
        take_table(project, tmp_path / "foreign.csv", "another")


def test_a_folder_of_classes_is_taken_by_the_names_of_its_images(project, images, tmp_path):
    for file in list(images.rglob("*.png"))[:5]:
        name = file.stem.partition("_")[2]
        copy = tmp_path / "sorted" / name / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    number, _ = take_folder(project, tmp_path / "sorted", "me")
    assert number == 5
    by_path = {cell.id: cell.path for cell in project.cells()}
    assert all(name in by_path[cell] for cell, name in labels(project).items())


def test_another_image_of_the_same_name_is_not_taken_for_it(project, images, tmp_path):
    file = next(images.rglob("*.png"))
    copy = tmp_path / "sorted" / "monocyte" / file.name
    copy.parent.mkdir(parents=True)
    Image.new("RGB", (40, 40), "pink").save(copy)
    with pytest.raises(DataError, match="1 labelled image is not among those of this project"):
        take_folder(project, tmp_path / "sorted", "me")
    assert labels(project) == {}


def test_a_note_that_is_too_long_is_refused_whole(project):
    with pytest.raises(ConfigurationError, match=r"at most 2,000 characters; this one has 2,001"):
        write_note(project, 1, "me", "x" * 2001)
    assert notes(project) == {}


def test_nothing_is_written_among_the_images(project, images):
    give(project, [{1: "monocyte"}], "me")
    write_table(project)
    assert all(file.suffix == ".png" for file in images.rglob("*") if file.is_file())
    with pytest.raises(ConfigurationError, match="would lie among the images"):
        Project(images, images / "project")


def test_images_that_come_and_go_keep_their_labels(project, images):
    give(project, [{1: "monocyte"}], "me")
    first = project.file(project.cell(1))
    content = first.read_bytes()
    first.unlink()
    (images / "new.png").write_bytes(content)
    project.read_folder()
    assert len(project.cells()) == 24
    assert 1 not in {cell.id for cell in project.cells()}
    first.write_bytes(content)
    project.read_folder()
    assert len(project.cells()) == 25
    assert labels(project) == {1: "monocyte"}


def test_groups_come_from_a_table_whole_or_not_at_all(project, tmp_path):
    first, second = project.cells()[:2]
    file = tmp_path / "groups.csv"
    file.write_text(f"path;group\n{first.path};ben/slide 7\n{second.path.rpartition('/')[2]};ben/slide 8\n")
    assert take_groups(project, file) == 2
    assert [project.cell(one.id).group for one in (first, second)] == ["ben/slide 7", "ben/slide 8"]
    file.write_text(f"path;group\n{first.path};carl\nnowhere.png;carl\n")
    with pytest.raises(DataError, match=r"line 3: nowhere\.png is not among the images"):
        take_groups(project, file)
    assert project.cell(first.id).group == "ben/slide 7"
