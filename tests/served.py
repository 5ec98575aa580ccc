"""A server of one file on this machine, and what it serves: a tiny dataset, packed."""

import io
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from PIL import Image


class Answer(NamedTuple):
    """What the server did: status, the range it was asked for, bytes of the body it sent."""

    status: int
    asked: str | None
    sent: int


class Server(ThreadingHTTPServer):
    """Serves one file at every path, as well or as badly as a test says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.etag: str | None = '"one"'
        self.ranges = True
        self.heeds_if_range = True
        self.step = 1  # ranges begin at multiples of it, whatever was asked for
        self.chunked = False
        self.statuses: list[int] = []  # answers to give instead, in turn
        self.cuts: list[int] = []  # after how many bytes the connection ends, in turn; then never
        self.answers: list[Answer] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server, asked = self.server, self.headers["Range"]
        assert self.headers["Accept-Encoding"] == "identity"
        if server.statuses:
            status = server.statuses.pop(0)
            server.answers.append(Answer(status, asked, 0))
            return self.send_error(status)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if server.heeds_if_range and self.headers["If-Range"] != server.etag:
            start = 0
        start -= start % server.step
        if start and start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            return server.answers.append(Answer(416, asked, 0))
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        if server.etag:
            self.send_header("ETag", server.etag)
        if not server.chunked:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        sent = body[: server.cuts.pop(0)] if server.cuts else body
        server.answers.append(Answer(206 if start else 200, asked, len(sent)))
        if server.chunked:
            whole = len(sent) == len(body)
            sent = b"%x\r\n%b\r\n" % (len(sent), sent) + (b"0\r\n\r\n" if whole else b"")
        self.wfile.write(sent)
        return None

    def log_message(self, *_: Any) -> None:
        """Not among the tests' output."""


def bitmap(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (12, 12), (shade, shade, 90)).save(stream, "bmp")
    return stream.getvalue()


TECOM = {
    **{f"segmentation_WBC-master/Dataset 1/{n:03d}.bmp": bitmap(40 * n) for n in (1, 2, 3)},
    "segmentation_WBC-master/Class Labels of Dataset 1.csv": b"image ID,class label\r\n1,1\r\n2,2\r\n3,3\r\n",
    "segmentation_WBC-master/README.md": b"words" * 20_000,
}
"""Jiangxi Tecom as GitHub would pack it."""


def zipped(files: dict[str, bytes], folders: tuple[str, ...] = ()) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for folder in folders:
            archive.mkdir(folder)
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
