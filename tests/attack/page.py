"""The set through the page: uploaded over HTTP and heard by gradio's own interface."""

import contextlib
import html
import json
import os
import re
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from tests.attack.processes import bounded, kill_group, memory_of
from tests.attack.work import ENVIRONMENT, GTZAN, ROOT, Tried, Work
from tests.hostile.judge import MEMORY, Outcome, judge

START, HANG = 120.0, 60.0  # seconds
LARGEST = 60_000_000  # bytes of an upload
FAILS = "the page"  # begins a finding that is none of the file
BOUNDARY = b"----hostile"


class Page:
    """``gtzan app`` in a process of its own, on a free port."""

    def __init__(self, checkpoint: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.log = folder / "page.log"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        command = [*GTZAN, "app", "--run", checkpoint, "--port", str(port)]
        command += ["--track.folder", str(folder / "mlruns")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**ENVIRONMENT, "TMPDIR": str(self.temporary)}, stdout=log,
                stderr=log, start_new_session=True, preexec_fn=bounded,
            )  # fmt: skip

    def __enter__(self) -> Self:
        end = time.monotonic() + START
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, OSError):
                config = json.loads(self._ask("/config"))
                self.model = next(
                    part["props"]["value"]
                    for part in config["components"]
                    if part["type"] == "dropdown"
                )
                self.listen = next(
                    event["id"] for event in config["dependencies"] if event["api_name"] == "listen"
                )
                return self
            time.sleep(0.2)
        kill_group(self.process)
        raise RuntimeError(f"the page did not start: {self.log.read_text()[-300:]}")

    def __exit__(self, *error: object) -> None:
        kill_group(self.process)

    @property
    def memory(self) -> int:
        """Bytes that the server's processes have for themselves."""
        return memory_of(self.process.pid)

    def hear(self, file: Path) -> Outcome:
        """Upload a file and wait for all that the page says of it."""
        began = time.monotonic()
        try:
            (place,) = json.loads(self._upload(file))
            sound = {"path": place, "meta": {"_type": "gradio.FileData"}}
            session = secrets.token_hex(8)
            body = {"data": [sound, self.model], "fn_index": self.listen, "session_hash": session}
            self._ask("/gradio_api/queue/join", json.dumps(body).encode(), "application/json")
            answers = self._answers(f"/gradio_api/queue/data?session_hash={session}")
            first = next(answers)
            seconds = time.monotonic() - began
            for _ in answers:  # the reasons follow the genre
                pass
        except (urllib.error.HTTPError, ValueError) as error:
            return Outcome(finding=f"{FAILS} fails: {error}", seconds=time.monotonic() - began)
        except OSError as error:
            return Outcome(finding=f"{FAILS} hangs: {error}", seconds=time.monotonic() - began)
        return _outcome(first, seconds)

    def _upload(self, file: Path) -> bytes:
        name = os.fsencode(file.name)
        for sign in (b"%", b'"', b"\r", b"\n"):  # as browsers write them
            name = name if sign == b"%" else name.replace(sign, b"%%%02X" % ord(sign))
        head = b'Content-Disposition: form-data; name="files"; filename="%s"\r\n\r\n' % name
        parts = (b"--", BOUNDARY, b"\r\n", head, file.read_bytes(), b"\r\n--", BOUNDARY, b"--\r\n")
        kind = f"multipart/form-data; boundary={BOUNDARY.decode()}"
        return self._ask("/gradio_api/upload", b"".join(parts), kind)

    def _ask(self, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        request = urllib.request.Request(self.address + path, body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            return answer.read()

    def _answers(self, path: str) -> Iterator[list[Any]]:
        """The first outputs and the last; those between are told as differences.

        Raises:
            ValueError: an error in place of an answer.
        """
        with urllib.request.urlopen(self.address + path, timeout=HANG) as lines:
            seen = 0
            for line in lines:
                told = json.loads(line[6:]) if line.startswith(b"data: {") else {"msg": ""}
                is_last = told["msg"] == "process_completed"
                if is_last and not told["success"]:
                    raise ValueError("an error in place of an answer")
                if is_last or (told["msg"] == "process_generating" and not seen):
                    seen += 1
                    yield told["output"]["data"]
                if is_last:
                    return
        raise ValueError("no answer")


def _outcome(answer: list[Any], seconds: float) -> Outcome:
    said, label = answer[:2]
    if not label:
        text = html.unescape(re.sub(r"<[^>]+>", " ", said))
        return Outcome(finding=" ".join(text.split()), seconds=seconds)
    shares = {one["label"]: one["confidence"] for one in label["confidences"]}
    return Outcome([shares[genre] for genre in sorted(shares)], remarks=said, seconds=seconds)


def page(work: Work) -> Iterator[Tried]:
    """Every file that a browser could send has its answer; good songs that of their copies."""
    sent = [one for one in work.hostile if one.can_upload and one.path.stat().st_size < LARGEST]
    with Page(work.checkpoint, work.folder("page")) as server:
        before, highest = server.memory, 0
        for one in sent:
            clean = server.hear(one.clean) if one.clean else None
            # the details say that a song is cut, after the reasons
            truth = "either" if one.truth == "cut" else one.truth
            said = server.hear(one.path)
            lost = said.finding if said.finding.startswith(FAILS) else ""
            yield Tried(one.kind, lost or judge(replace(one, truth=truth), said, clean))
            highest = max(highest, server.memory - before)
            if server.process.poll() is not None:
                yield Tried("the server", "it died")
                return
        lost = f"took {highest / 1e9:.1f} GB" if highest > MEMORY else ""
        yield Tried("memory of the server", lost)
        said = server.log.read_text(errors="backslashreplace")
        yield Tried("what the server said", "'Traceback'" if "Traceback" in said else "")
