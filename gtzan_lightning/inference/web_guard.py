"""What stands before the page: whom it answers, what it takes in, and what a browser may load.

Gradio has many doors that this page does not need. Here are those that stay open. A web site that
somebody visits can make the browser ask this page; its name in ``Host`` or ``Origin`` tells.
"""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gtzan_lightning.inference.web_password import Guesses

LARGEST = 64 * 1024**2  # bytes of an upload with all around it; gradio refuses smaller ones itself
LARGEST_CALL = 1024**2  # bytes of any other request
ROOM = 4 * 1024**3  # bytes of all uploads together
UPLOAD = "/gradio_api/upload"
EXACT = {
    "/", "/config", "/favicon.ico", "/login", "/logout", "/manifest.json", "/robots.txt",
    "/theme.css", UPLOAD,
    *(f"/gradio_api/{name}" for name in (
        "app_id", "cancel", "info", "login_check", "queue/data", "queue/join", "reset",
        "startup-events", "theme.css", "upload_progress", "user")),
}  # fmt: skip
BELOW = ("/assets/", "/static/", "/svelte/", *(
    f"/gradio_api/{name}" for name in ("call/", "file=", "heartbeat/", "queue/data/")
))  # fmt: skip
HEADERS = {
    # gradio's page has scripts and styles in it and evaluates templates: this keeps other hosts out
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "media-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class _Answer:
    """Sends what the page answers, with headers; where the page fails, a line."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0  # of what was sent, 0: nothing yet
        self._failed = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # answers are made in the queue: a request alone makes gradio fail if it can't be read
            self._failed = message["status"] >= 500 and message["status"] != 503
            if self._failed:
                return
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        if not self._failed:
            await self._send(message)

    async def refuse(self, status: int, line: str) -> None:
        """Answer with a line of text, unless an answer has begun."""
        if not self.status:
            self._failed = False
            response = PlainTextResponse(f"{line}\n", status)
            await response({"type": "http"}, _nothing, self)

    async def end(self) -> None:
        """Nothing more comes from the page."""
        await self.refuse(400, "the page can't read this request")


class Guard:
    """An ASGI application in front of another.

    Args:
        own: names and addresses of this machine.
        names: other hosts as which the page is known, such as that of a proxy in front.
        folder: where uploads are kept.
        guesses: of the password.
    """

    def __init__(
        self,
        app: ASGIApp,
        own: Iterable[str],
        names: Iterable[str],
        folder: Path,
        guesses: Guesses,
    ) -> None:
        self.app, self.folder, self.guesses = app, folder, guesses
        self.names = {name.lower() for name in names}
        self.known = self.names | {name.lower() for name in own}
        self.coming = 0  # bytes of uploads on their way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request: a refusal is one line of text."""
        if scope["type"] != "http":  # the server knows no websockets, so it is the start or the end
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            headers = Headers(scope=scope)
            self._check_names(headers)
            _check_path(scope["path"])
            await self._pass(scope, headers, receive, answer)
        except HTTPException as error:
            await answer.refuse(error.status_code, error.detail)
        except Exception as error:  # what gradio makes of a request that it did not expect
            print(f"{scope['method']} refused: {type(error).__name__}", file=sys.stderr)
        finally:
            await answer.end()

    def _check_names(self, headers: Headers) -> None:
        for name in ("host", "x-forwarded-host"):
            given = headers.get(name, "" if name == "host" else None)
            if given is not None and _host(given) not in self.known:
                raise HTTPException(
                    400, f"the page does not answer to this {name}: start it with --allow-host"
                )
        origin = headers.get("origin")
        if origin is not None:
            place = origin.partition("://")[2]
            same = place in (headers["host"], headers.get("x-forwarded-host"))
            if not same and _host(place) not in self.names:
                raise HTTPException(403, "another web site may not ask this page")

    async def _pass(self, scope: Scope, headers: Headers, receive: Receive, send: _Answer) -> None:
        path = scope["path"].rstrip("/")
        largest = LARGEST if path == UPLOAD else LARGEST_CALL
        try:
            promised = int(headers.get("content-length", largest))
        except ValueError:
            raise HTTPException(400, "a content-length that is no number") from None
        if promised > largest:
            raise HTTPException(413, f"more than {largest} bytes")
        if path == "/login" and scope["method"] == "POST":
            await self._guess(scope, _limited(receive, largest), send)
        elif path == UPLOAD:
            await self._upload(scope, _limited(receive, largest), send, promised)
        else:
            await self.app(scope, _limited(receive, largest), send)

    async def _guess(self, scope: Scope, receive: Receive, send: _Answer) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        wait = self.guesses.take(address)
        if wait is None:
            raise HTTPException(429, "too many wrong passwords: try again in some minutes")
        await asyncio.sleep(wait)
        await self.app(scope, receive, send)
        if send.status == 200:
            self.guesses.right(address)

    async def _upload(self, scope: Scope, receive: Receive, send: Send, promised: int) -> None:
        kept = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
        if kept + self.coming + promised > ROOM:
            raise HTTPException(503, "no room for more uploads: try again in some minutes")
        self.coming += promised
        try:
            await self.app(scope, receive, send)
        finally:
            self.coming -= promised


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _limited(receive: Receive, largest: int) -> Receive:
    """Bytes of a body without a stated length are counted as they come."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > largest:
            raise HTTPException(413, f"more than {largest} bytes")
        return message

    return limited


def _check_path(path: str) -> None:
    is_open = path.rstrip("/") in EXACT or path == "/" or path.startswith(BELOW)
    if not is_open or "://" in path:  # gradio would fetch from there
        raise HTTPException(404, "the page has nothing here")


def _host(given: str) -> str | None:
    """The name in a ``Host``, without its port; None where it is none."""
    try:
        return urlsplit(f"//{given}").hostname
    except ValueError:
        return None
