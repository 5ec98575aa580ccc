"""Who may talk to the server: only the browser that was given its address, on this machine, from its own pages."""

import hmac
import secrets
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
"""No script, style, picture or request but the server's own."""
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)
"""Of a report, which holds its scripts itself: it is a site of its own, which cannot call anything."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


class Guard:
    """Refuses every request that does not come from the page itself.

    The first address holds the token; it is moved into a cookie, which other sites cannot send (SameSite=Strict) and scripts
    cannot read. The names of hosts are checked, so that no other site can be given the server's address (DNS rebinding).

    Args:
        app: What is guarded.
        token: The secret.
        port: Where the server listens, on 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self.cookie = f"cellda_{port}"  # browsers send cookies to all ports of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if reason := self._foreign(scope["method"], headers):
            await PlainTextResponse(reason, 403)(scope, receive, send)
        elif given and self._same(given):
            moved = RedirectResponse(scope["path"], 303)
            moved.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
            await moved(scope, receive, send)
        elif not self._same(self._given(headers)):
            text = (
                "Open the address that cellda app has printed: it holds a key, without which nobody gets in."
            )
            await PlainTextResponse(text, 403)(scope, receive, send)
        else:
            await self.app(scope, receive, _with_headers(send))

    def _same(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _given(self, headers: dict[str, str]) -> str:
        found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        return "" if found is None else found.value

    def _foreign(self, method: str, headers: dict[str, str]) -> str:
        """Why a request comes from elsewhere; empty if it does not."""
        if headers.get("host", "") not in self.hosts:
            return "The server answers only at its own address."
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.hosts}:
            return "Requests of other sites are refused."
        if method not in ("GET", "HEAD") and origin is None:
            return "Only the page itself may change anything."
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "Requests of other sites are refused."
        return ""


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            extra = {**HEADERS, "content-security-policy": POLICY, "cache-control": "no-store"}
            message["headers"] = [
                *message["headers"],
                *((k.encode(), v.encode()) for k, v in extra.items() if k.encode() not in names),
            ]
        await send(message)

    return guarded
