"""What stands before the page, in front of a small application."""

import os
import stat

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gtzan_lightning.errors import UserError
from gtzan_lightning.inference import web_guard
from gtzan_lightning.inference.web_files import remove_old, temporary
from gtzan_lightning.inference.web_guard import Guard
from gtzan_lightning.inference.web_password import (
    DELAYS,
    MOST,
    Guesses,
    checker,
    read_password,
)
from gtzan_lightning.inference.web_server import listen, own_names


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def ask(tmp_path):
    async def upload(request):
        return PlainTextResponse(str(len(await request.body())))

    async def login(request):
        is_right = "right" in (await request.body()).decode()
        return PlainTextResponse("", 200 if is_right else 400)

    async def broken(request):
        raise KeyError("a secret of the server")

    async def busy(request):
        raise HTTPException(503, "Queue is full")

    routes = [
        Route("/", lambda request: PlainTextResponse("the page")),
        Route("/gradio_api/upload", upload, methods=["POST"]),
        Route("/login", login, methods=["POST"]),
        Route("/config", broken),
        Route("/gradio_api/queue/join", busy, methods=["POST"]),
        Route("/docs", lambda request: PlainTextResponse("loads scripts of another host")),
    ]
    guard = Guard(
        Starlette(routes=routes), own_names("127.0.0.1"), ["gtzan.lab"], tmp_path, Guesses()
    )
    return TestClient(guard, "http://localhost:7860").request


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "127.0.0.1:1"}, 200),
        ({"Host": "[::1]:7860"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "gtzan.lab"}, 200),
        ({"Host": "evil.com"}, 400),
        ({"Host": "localhost.evil.com"}, 400),
        ({"Host": "evil.com:localhost"}, 400),
        ({"Host": "[::1"}, 400),
        ({"Host": ""}, 400),
        ({"X-Forwarded-Host": "evil.com"}, 400),
        ({"X-Forwarded-Host": "gtzan.lab"}, 200),
        ({"Origin": "http://localhost:7860"}, 200),
        ({"Origin": "https://gtzan.lab"}, 200),
        ({"Origin": "http://localhost:8888"}, 403),
        ({"Origin": "http://evil.com"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_the_page_answers_to_its_own_names_only(ask, headers, status):
    answer = ask("GET", "/", headers=headers)
    assert answer.status_code == status
    assert answer.text.count("\n") == (status != 200)
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_only_the_doors_that_the_page_needs_are_open(ask):
    for path in ("/docs", "/gradio_api/proxy=https://evil.com", "/gradio_api/file=http://evil.com",
                 "/gradio_api/run/listen", "/gradio_api/vibe-edit", "//"):  # fmt: skip
        assert ask("GET", f"http://localhost:7860{path}").status_code == 404


def test_a_request_that_the_page_fails_at_is_refused_and_a_full_queue_says_so(ask, capsys):
    answer = ask("GET", "/config")
    assert (answer.status_code, answer.text) == (400, "the page can't read this request\n")
    assert capsys.readouterr().err == "GET refused: KeyError\n"
    answer = ask("POST", "/gradio_api/queue/join")
    assert (answer.status_code, answer.text) == (503, "Queue is full")


def test_bodies_end_at_a_limit_whether_they_state_a_length_or_not(ask, monkeypatch, tmp_path):
    monkeypatch.setattr(web_guard, "LARGEST", 1000)
    assert ask("POST", web_guard.UPLOAD, content=bytes(1000)).text == "1000"
    assert ask("POST", web_guard.UPLOAD, content=bytes(1001)).status_code == 413
    chunks = [bytes(600), bytes(600)]
    assert ask("POST", web_guard.UPLOAD, content=iter(chunks)).status_code == 413
    monkeypatch.setattr(web_guard, "LARGEST_CALL", 10)
    assert ask("POST", "/login", content=bytes(11)).status_code == 413
    assert ask("GET", "/", headers={"Content-Length": "1e3"}).status_code == 400
    (tmp_path / "upload").write_bytes(bytes(500))
    monkeypatch.setattr(web_guard, "ROOM", 600)
    assert ask("POST", web_guard.UPLOAD, content=bytes(100)).status_code == 200
    assert ask("POST", web_guard.UPLOAD, content=bytes(101)).status_code == 503


def test_each_wrong_password_makes_the_next_guess_wait_twice_as_long():
    clock = Clock()
    guesses = Guesses(clock)
    waits = [guesses.take("1.2.3.4") for _ in range(5)]  # at once: each waits for those before
    assert waits == [0, 1, 3, 7, 15]
    assert guesses.take("1.2.3.4") is None  # after 31 s
    assert guesses.take("1.2.3.5") == 0
    guesses.right("1.2.3.5")
    assert guesses.take("1.2.3.5") == 0
    clock.now += 10_000
    assert guesses.take("1.2.3.4") == 0


def test_guesses_from_many_addresses_wait_for_each_other_and_fill_no_memory():
    clock = Clock()
    guesses = Guesses(clock)
    for number in range(2 * MOST):
        clock.now += DELAYS["all"]
        assert guesses.take(f"10.0.{number // 256}.{number % 256}") == 0
    assert len(guesses._one) == MOST
    assert guesses.take("1.1.1.1") == pytest.approx(DELAYS["all"])
    guesses = Guesses(clock)
    waits = [guesses.take(f"2001:db8::{n}") for n in range(3)]  # of one network
    assert waits == [0, 1, 3]


def test_a_right_password_is_let_in_and_too_many_wrong_ones_are_not(ask, monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(web_guard.asyncio, "sleep", sleep)
    assert ask("POST", "/login", content="right").status_code == 200
    said = [ask("POST", "/login", content="wrong").status_code for _ in range(6)]
    assert said == [400] * 5 + [429]
    assert slept[:3] == pytest.approx([0, 0, 1], abs=0.2)


def test_only_the_name_and_the_password_are_right():
    is_right = checker("naïve 🎵")
    assert is_right("gtzan", "naïve 🎵")
    for name, guess in (("gtzan", "naive"), ("x", "naïve 🎵"), ("gtzan", ""), ("\ud800", "\ud800")):
        assert not is_right(name, guess)


def test_a_password_comes_from_a_private_file_or_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "password"
    monkeypatch.setenv("GTZAN_PASSWORD", "of the environment")
    assert read_password(None) == "of the environment"
    assert "GTZAN_PASSWORD" not in os.environ  # no process started from here has it
    assert read_password(None) is None
    file.write_text("of the file\r\nand more\n")
    file.chmod(0o644)
    with pytest.raises(UserError, match=r"password can be read by others: chmod 600"):
        read_password(str(file))
    file.chmod(0o600)
    assert read_password(str(file)) == "of the file"
    for content, said in ((b"\n", "is empty"), (b"\xff\xfe", "no text in UTF-8")):
        file.write_bytes(content)
        with pytest.raises(UserError, match=said):
            read_password(str(file))
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match="--password-file"):
            read_password(str(missing))
    monkeypatch.setenv("GTZAN_PASSWORD", "")
    with pytest.raises(UserError, match="GTZAN_PASSWORD is empty"):
        read_password(None)


def test_temporary_files_are_private_grow_old_and_go_at_the_end(monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    with temporary() as folder:
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "a").mkdir()
        old, new = folder / "a" / "old", folder / "a" / "new"
        old.touch()
        new.touch()
        os.utime(old, (1, 1))
        remove_old(folder, 60)
        assert (old.exists(), new.exists()) == (False, True)
    assert not folder.exists()


def test_a_port_in_use_and_an_address_of_another_machine_are_a_line():
    with listen("127.0.0.1", 0) as at:
        port = at.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use"):
            listen("127.0.0.1", port)
    with pytest.raises(UserError, match="--port 70000"):
        listen("127.0.0.1", 70_000)
    with pytest.raises(UserError, match=r"can't listen at 192\.0\.2\.1"):
        listen("192.0.2.1", 0)
    assert {"127.0.0.1", "localhost", os.uname().nodename} <= own_names("0.0.0.0")
