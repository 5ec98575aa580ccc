"""Who may talk to the server."""

import pytest

pytest.importorskip("fastapi", reason="the extra app is not installed")

from starlette.testclient import TestClient

from cellda.app.desk import Desk
from cellda.app.guard import POLICY
from cellda.app.pages import uploads
from cellda.app.server import guarded

PORT, TOKEN = 8765, "secret"
OWN = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def client(project):
    desk = Desk()
    desk.open(project)
    with TestClient(guarded(desk, TOKEN, PORT), base_url=OWN, follow_redirects=False) as made:
        yield made


@pytest.fixture
def known(client):
    assert client.get(f"/?token={TOKEN}").status_code == 303
    return client


def test_the_token_is_needed_and_leaves_the_address(client):
    assert client.get("/images").status_code == 403
    assert client.get("/?token=wrong").status_code == 403
    first = client.get(f"/?token={TOKEN}")
    assert (first.status_code, first.headers["location"]) == (303, "/")
    said = first.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert client.get("/images").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8765"},
        {"host": "127.0.0.1:9999"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_are_refused(known, headers):
    assert known.get("/images", headers=headers).status_code == 403


def test_only_the_page_itself_changes_anything(known):
    body = {"actions": [{"1": "monocyte"}]}
    assert known.post("/api/labels", json=body).status_code == 403
    assert known.post("/api/labels", json=body, headers={"origin": "http://evil.example"}).status_code == 403
    assert known.post("/api/labels", json=body, headers={"origin": OWN}).status_code == 200


def test_every_answer_has_a_strict_policy(known):
    for path in ("/images", "/label", "/adapt", "/results", "/agreement", "/static/page.js", "/api/images"):
        answer = known.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/picture/small/..%2f..%2fetc%2fpasswd",
        "/picture/small/999999",
        "/picture/secret/1",
        "/static/%2fetc%2fpasswd",
    ],
)
def test_no_other_file_is_served(known, path):
    assert known.get(path).status_code in (404, 422)


def test_a_link_out_of_the_folder_is_not_followed(known, project, images, tmp_path):
    outside = tmp_path / "secret.png"
    outside.write_bytes(next(images.rglob("*.png")).read_bytes())
    (images / "link.png").symlink_to(outside)
    project.read_folder()
    [link] = [cell.id for cell in project.cells() if cell.path == "link.png"]
    answer = known.get(f"/picture/small/{link}")
    assert answer.status_code == 404
    assert "leads out of the folder" in answer.json()["detail"]


def test_pictures_are_made_and_unreadable_ones_are_said(known, project, images):
    for kind in ("small", "framed", "large", "whole"):
        answer = known.get(f"/picture/{kind}/1")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content.startswith(b"\xff\xd8")
    (images / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    project.read_folder()
    [bad] = [cell.id for cell in project.cells() if cell.path == "bad.png"]
    answer = known.get(f"/picture/small/{bad}")
    assert answer.status_code == 404
    assert "cannot be shown" in answer.json()["detail"]


def test_mistakes_are_sentences(known):
    for path, body, said in (
        ("/api/labels", {"actions": [{"1": "Monozyt"}]}, "'Monozyt' is no class"),
        ("/api/open", {"folder": "/nowhere"}, "There is no folder /nowhere"),
        ("/api/person", {"person": " "}, "A name has 1 to 40"),
        ("/api/keys", {"keys": {"monocyte": "n"}}, "means something already"),
        ("/api/keys", {"keys": {"monocyte": "x", "basophil": "x"}}, "same letter"),
        ("/api/models/7/choose", {}, "no model 7"),
    ):
        answer = known.post(path, json=body, headers={"origin": OWN})
        assert answer.status_code == 400, path
        assert said in answer.json()["detail"]
    for path in ("/export/predictions.csv", "/export/doubtful.zip", "/export/model.zip", "/report"):
        answer = known.get(path)
        assert (answer.status_code, answer.json()["detail"][:24]) == (400, "There is no model yet: l")
    answer = known.post("/api/jobs", json={"kind": "adapt"}, headers={"origin": OWN})
    assert (answer.status_code, "at least two classes" in answer.json()["detail"]) == (400, True)


def test_a_table_that_is_too_large_is_refused_not_cut(known, project, monkeypatch):
    monkeypatch.setattr(uploads, "MOST", 30)
    first = project.cells()[0].path
    files = {"file": ("a.csv", f"path,group\n{first},a\n")}
    answer = known.post("/api/groups", files=files, headers={"origin": OWN})
    assert answer.status_code == 400
    assert "nothing was read" in answer.json()["detail"]
    assert project.cells()[0].group != "a"
