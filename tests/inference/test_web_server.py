"""The page's server, asked by enemies and by a hundred at once."""

import asyncio
import io
import json
import os
import re
import signal
import socket
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
import soundfile
from serving import serving

pytestmark = pytest.mark.many
LISTENERS = 100
FORM = {"Content-Type": "multipart/form-data; boundary=B"}


@pytest.fixture(scope="module")
def served(checkpoint, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("page"), *flags(checkpoint)) as page:
        yield page


def flags(checkpoint):
    return ["--run", checkpoint, "--track.folder", str(Path(checkpoint).parents[2])]


def sound(pitch=300.0):
    memory = io.BytesIO()
    wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(16_000) / 8000)
    soundfile.write(memory, wave, 8000, format="WAV")
    return memory.getvalue()


def form(name: bytes, content: bytes) -> bytes:
    head = b'--B\r\nContent-Disposition: form-data; name="files"; filename="' + name
    return head + b'"\r\n\r\n' + content + b"\r\n--B--\r\n"


async def listened(client, content, name=b"a.wav"):
    """What the page says of a sound, and the places in the queue that it told."""
    config = (await client.get("/config")).json()
    (event,) = [d["id"] for d in config["dependencies"] if d["api_name"] == "listen"]
    (model,) = [c["props"]["value"] for c in config["components"] if c["type"] == "dropdown"]
    sent = await client.post("/gradio_api/upload", content=form(name, content), headers=FORM)
    assert sent.status_code == 200, sent.text
    session = os.urandom(8).hex()
    file = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
    body = {"data": [file, model], "fn_index": event, "session_hash": session}
    joined = await client.post("/gradio_api/queue/join", json=body)
    assert joined.status_code == 200, joined.text
    places, said = [], ""
    asked = {"session_hash": session}
    async with client.stream("GET", "/gradio_api/queue/data", params=asked) as answer:
        async for line in answer.aiter_lines():
            message = json.loads(line[5:]) if line.startswith("data:") else {"msg": ""}
            if message["msg"] == "estimation":
                places.append(message["rank"])
            if message["msg"] == "process_generating":
                said = said or str(message["output"]["data"][0])
            if message["msg"] == "process_completed":
                assert message["success"], message
                return said, places
    raise AssertionError("the answer broke off")


def together(page, *sounds, name=b"a.wav"):
    async def all_of_them():
        limits = httpx.Limits(max_connections=300)
        async with httpx.AsyncClient(base_url=page.address, timeout=300, limits=limits) as client:
            return await asyncio.gather(*(listened(client, each, name) for each in sounds))

    return asyncio.run(all_of_them())


def test_a_hundred_listeners_wait_with_a_number_and_leave_nothing_in_memory(served):
    process = psutil.Process(served.process.pid)
    together(served, *(sound(200 + n) for n in range(LISTENERS)))  # what is kept of so many
    before = process.memory_info().rss
    answers = together(served, *(sound(300 + n) for n in range(LISTENERS)))
    assert all("<h2>" in said for said, _ in answers)
    assert max(max(places) for _, places in answers) > LISTENERS / 2
    assert process.memory_info().rss - before < 50e6


NAMES = [
    b"../../../etc/x.wav", b"a" * 255 + b".wav", "é".encode() * 200 + b".wav", b"<img src=x>.wav",
    "\u2028\x85\u202e.wav".encode(), b"\xff\xfe.wav", b".", b"", b"/", b"con.wav", b"\0.wav",
    b"-rf.wav", b"=cmd", b"${7*7}.wav", b"C:\\x.wav",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_of_any_name_is_answered_and_stays_in_the_folder(served, name):
    ((said, _),) = together(served, sound(), name=name)
    assert "<h2>" in said
    assert "img" not in said
    files = {file.parents[2] for file in served.temporary.rglob("*.wav") if "/gtzan-" in str(file)}
    assert len(files) <= 2


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (FORM, form(b"a\r\nb.wav", b"x"), 413),
        (FORM, form(b"..", b"x"), 400),
        (FORM, form(b"x" * 9000, b"x"), 413),
        (FORM, b'--B\r\nContent-Disposition: form-data; name="files"\r\n\r\nx\r\n--B--\r\n', 400),
        (FORM, b"--B\r\n\r\nx\r\n--B--\r\n", 400),
        ({"Content-Type": "text/html"}, b"x", 400),
        ({"Content-Type": "multipart/form-data"}, b"x", 400),
        ({"Content-Type": "multipart/form-data; boundary=" + "x" * 9000}, b"x", 400),
        ({"Content-Type": b"\xff\xfe"}, b"x", 400),
        ({}, b"x", 400),
    ],
)
def test_a_broken_upload_is_refused_with_a_line(served, headers, body, status):
    answer = httpx.post(f"{served.address}/gradio_api/upload", headers=headers, content=body)
    assert answer.status_code == status
    assert answer.text.count("\n") <= 1
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("length", [b"-1", b"abc", b"9" * 30, b"3\r\nContent-Length: 4"])
def test_a_length_that_is_none_is_refused(served, length):
    assert _raw(served, b"Content-Length: " + length + b"\r\n\r\nabc").split()[1] in (
        b"400",
        b"413",
    )


@pytest.mark.parametrize("kind", ["file", "field"])
def test_an_upload_without_a_length_ends_at_the_limit(served, kind):
    before = psutil.Process(served.process.pid).memory_info().rss

    def endless():
        name = b'; filename="a.wav"' if kind == "file" else b""
        yield b'--B\r\nContent-Disposition: form-data; name="files"' + name + b"\r\n\r\n"
        for _ in range(200):
            yield bytes(2**20)

    try:
        answer = httpx.post(f"{served.address}/gradio_api/upload", content=endless(), headers=FORM)
        assert answer.status_code == 413
    except httpx.WriteError:  # it hangs up on who goes on
        pass
    assert psutil.Process(served.process.pid).memory_info().rss - before < 200e6


def test_of_bytes_at_random_none_harms_the_server(served):
    chance = np.random.default_rng(0)
    request = b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 200\r\n\r\n"
    for _ in range(100):
        broken = bytearray(request + form(b"a.wav", bytes(200))[:200])
        for place in chance.integers(len(broken), size=5):
            broken[place] = chance.integers(256)
        answer = _raw(served, bytes(broken), wait=0.3)
        assert answer[9:10] in (b"", b"2", b"4")  # or it waits for the rest
    assert httpx.get(served.address).status_code == 200


def _raw(page, request, wait=10.0):
    host, port = re.search(r"//(.*):(\d+)", page.address).groups()
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\n" + request)
        try:
            return connection.recv(4096)
        except OSError:
            return b""


def test_nothing_is_left_when_it_ends(checkpoint, tmp_path):
    with serving(tmp_path, *flags(checkpoint)) as page:
        together(page, sound())
        assert list(page.temporary.rglob("*.wav"))
        page.process.send_signal(signal.SIGTERM)
        assert page.process.wait(20) == 128 + signal.SIGTERM
    assert list(page.temporary.iterdir()) == []


def test_a_password_is_in_no_list_of_processes_and_each_guess_waits_longer(checkpoint, tmp_path):
    secret = "correct horse"
    with serving(tmp_path, *flags(checkpoint), GTZAN_PASSWORD=secret) as page:
        assert secret not in " ".join(psutil.Process(page.process.pid).cmdline())
        with httpx.Client(base_url=page.address, timeout=30) as client:
            assert client.get("/gradio_api/info").status_code == 401
            waits = []
            for _ in range(3):
                began = time.monotonic()
                assert _login(client, "wrong").status_code == 400
                waits.append(time.monotonic() - began)
            assert waits[0] < 0.9 < waits[1] < 1.9 < waits[2]
            assert _login(client, secret, "somebody").status_code == 400
            assert _login(client, secret).status_code == 200
            assert client.get("/gradio_api/info").status_code == 200
    assert secret not in (tmp_path / "said").read_text()


def test_a_listener_logs_in_with_a_browser(checkpoint, tmp_path, open_page):
    with serving(tmp_path, *flags(checkpoint), GTZAN_PASSWORD="correct horse") as page:
        view = open_page(page.address)
        view.get_by_label("username").fill("gtzan")
        view.get_by_label("password").fill("correct horse")
        view.get_by_role("button", name="Login").click()
        view.get_by_text("Drop a sound file").wait_for()


def _login(client, password, user="gtzan"):
    return client.post("/login", data={"username": user, "password": password})
