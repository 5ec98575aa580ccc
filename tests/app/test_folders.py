"""Folders, tables and people as they come: another folder in another tab, names, what is gone, what is no image."""

import os
import shutil
import stat
from pathlib import Path

import pytest

pytest.importorskip("sqlmodel", reason="the extra app is not installed")
from starlette.testclient import TestClient

from cellda.app.desk import Desk
from cellda.app.project.exchange import take_table
from cellda.app.project.labels import labels, said_by
from cellda.app.project.project import Project
from cellda.app.server import PROJECT, application
from cellda.errors import ConfigurationError, DataError
from drawn import class_of, drawn


@pytest.fixture
def desk(project: Project) -> Desk:
    made = Desk()
    made.open(project)
    return made


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return TestClient(application(desk), base_url="http://127.0.0.1")


def test_a_page_of_another_folder_can_change_nothing(client, desk, project, tmp_path):
    """Cells are numbers, and mean others in another project."""
    shown = {PROJECT: f"{project.id}.1"}
    cell = project.cells()[0].id
    said = {"actions": [{str(cell): "monocyte"}]}
    assert client.post("/api/labels", json=said, headers=shown).status_code == 200
    picture = client.get(f"/picture/small/{cell}", params={"project": project.id})
    assert picture.status_code == 200

    other = Project(drawn(tmp_path / "other", 12, slides=1))
    desk.open(other)
    for answer in (
        client.post("/api/labels", json=said, headers=shown),
        client.post("/api/undo", headers=shown),
        client.get(f"/picture/small/{cell}", params={"project": project.id}),
        client.get("/export/labels.csv", params={"project": project.id}),
    ):
        assert answer.status_code == 409
        assert str(other.images) in answer.json()["detail"]
    assert labels(other) == {}
    assert labels(project) == {cell: "monocyte"}
    other.engine.dispose()


def test_pictures_have_another_address_when_the_folder_was_read_again(client, project):
    before = client.get("/label").text.partition('data-project="')[2].partition('"')[0]
    client.post("/api/read")
    after = client.get("/label").text.partition('data-project="')[2].partition('"')[0]
    assert before.partition(".")[0] == after.partition(".")[0] == project.id
    assert before != after


@pytest.mark.parametrize("named", ["whole", "below", "name"])
def test_a_table_names_images_as_people_do(project, tmp_path, named):
    files = [cell.path for cell in project.cells()[:4]]
    shown = {
        "whole": lambda path: str(project.images / path),
        "below": lambda path: path,
        "name": lambda path: Path(path).name,
    }[named]
    table = tmp_path / "sent" / "labels of mine.csv"
    table.parent.mkdir()
    table.write_text("path;label\n" + "".join(f"{shown(one)};{class_of(one)}\n" for one in files))
    number, lines = take_table(project, table, "me")
    assert number == 4
    assert not any("no groups" in line or "does not name" in line for line in lines)
    found = {project.cell(cell).path: name for cell, name in labels(project).items()}
    assert found == {one: class_of(one) for one in files}


def test_a_table_of_other_images_is_refused_with_their_names(project, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("path,label\nelsewhere/none.png,monocyte\n")
    with pytest.raises(DataError, match=r"none\.png"):
        take_table(project, table, "me")
    assert labels(project) == {}


def test_what_is_no_table_is_refused(client):
    answer = client.post("/api/import", files={"file": (f"a.{'x' * 300}", b"path,label\n")})
    assert answer.status_code == 400
    assert "is no table" in answer.json()["detail"]


def test_the_pictures_of_a_project_inside_are_no_images(tmp_path):
    images = drawn(tmp_path / "ward", 12, slides=2)
    inner = Project(images / "anna")
    inner.read_folder()
    (inner.place / "pictures" / "small").mkdir(exist_ok=True)
    shutil.copy(next(images.rglob("*.png")), inner.place / "pictures" / "small" / "1.png")
    outer = Project(images)
    lines = outer.read_folder()
    assert len(outer.cells()) == 12
    assert any("in the project of a folder inside this one" in line for line in lines)
    for one in (inner, outer):
        one.engine.dispose()


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_not_utf8_is_left_out_and_said(images):
    shutil.copy(next(images.rglob("*.png")), os.fsencode(images) + b"/\xff\xe9.png")
    made = Project(images)
    lines = made.read_folder()
    assert len(made.cells()) == 24
    assert any("whose name is not UTF-8: rename it" in line for line in lines)
    made.engine.dispose()


def test_a_folder_that_is_gone_is_said_and_takes_no_label(client, project, images):
    cell = project.cells()[0].id
    images.rename(images.with_name("moved"))
    answer = client.post("/api/labels", json={"actions": [{str(cell): "monocyte"}]})
    assert answer.status_code == 400
    assert "is gone" in answer.json()["detail"]
    assert "is gone" in client.get("/images").text
    assert said_by(project) == {}


def test_no_project_is_begun_where_there_is_no_image(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError):
        Project(tmp_path / "empty")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["empty"]
    with pytest.raises((DataError, ConfigurationError)):
        Project(Path("/"))


@pytest.mark.skipif(os.name == "nt", reason="no such modes there")
def test_nobody_else_of_the_machine_reads_a_project(project):
    assert stat.S_IMODE(project.place.stat().st_mode) == 0o700


@pytest.mark.parametrize("at", ["/", "~nosuchuser/x", "/no/such/place", "/proc"])
def test_any_folder_is_listed_or_refused_in_a_sentence(client, at):
    answer = client.get("/api/folders", params={"at": at})
    assert answer.status_code == 200
    assert answer.json()["error"] or at in ("/", "/proc")
    assert client.get("/api/folder", params={"at": at}).status_code == 200


def test_a_note_of_a_cell_that_is_none_is_refused(client):
    answer = client.post("/api/note", json={"cell": 999, "text": "pale"})
    assert answer.status_code == 400
    assert "no cell 999" in answer.json()["detail"]


def test_whoever_corrects_another_person_is_told(client, project):
    cell = project.cells()[0].id
    client.cookies.set("cellda_person", "me")
    client.post("/api/labels", json={"actions": [{str(cell): "monocyte"}]})
    client.cookies.set("cellda_person", "ben")
    answer = client.post("/api/labels", json={"actions": [{str(cell): "neutrophil"}]}).json()
    assert answer["disagree"] == {str(cell): "me: monocyte"}
    client.post("/api/decide", json={"cell": cell, "name": "monocyte"})
    answer = client.post("/api/labels", json={"actions": [{str(cell): "neutrophil"}]}).json()
    assert answer["disagree"] == {str(cell): "me: monocyte, decision: monocyte"}
