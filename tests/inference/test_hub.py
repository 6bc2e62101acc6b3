"""``hf://OWNER/NAME``, against a hub that is faked on this machine."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest

from experiments import export
from gtzan_lightning import Tagger
from gtzan_lightning.errors import UserError


class Hub(BaseHTTPRequestHandler):
    """Takes commits of small files, and gives the files back."""

    files: dict[str, bytes] = {}  # noqa: RUF012
    refuses = False

    @property
    def home(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.refuses:
            self.answer({"error": "Invalid credentials"}, 401)
        elif self.path.endswith("/repos/create"):
            self.answer({"url": f"{self.home}/me/genres"})
        elif "/preupload/" in self.path:
            own = [file["path"] for file in json.loads(body)["files"]]
            mode = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer({"files": [{"path": path, **mode} for path in own]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.files[line["value"]["path"]] = content
            self.answer(
                {
                    "success": True,
                    "commitOid": "1" * 40,
                    "commitUrl": f"{self.home}/me/genres/commit/1",
                }
            )
        else:
            self.answer({"files": []})

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        if "/resolve/" not in self.path:
            self.answer({"id": "me/genres", "sha": "1" * 40, "siblings": []})
        elif name in self.files and "/me/genres/" in self.path:
            content = self.files[name]
            tag = hashlib.sha256(content).hexdigest()
            self.answer(content, more={"ETag": f'"{tag}"', "X-Repo-Commit": "1" * 40})
        else:
            self.answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def answer(self, content, status=200, more=None):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **(more or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *words):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.HfApi, "endpoint", address, raising=False)
    yield server
    server.shutdown()
    server.server_close()


def test_a_checkpoint_is_pushed_with_its_card_and_loaded_again(
    hub, checkpoint, capsys, monkeypatch
):
    export.main(["--run", checkpoint, "--to", "hf://me/genres"])
    assert "/me/genres" in capsys.readouterr().out
    card = Hub.files["README.md"].decode()
    assert "gtzan tag FOLDER --run hf://me/genres" in card
    assert "name: small_cnn" in card
    again = Tagger.load("hf://me/genres")
    assert again.recipe.model == Tagger.load(checkpoint).recipe.model

    def no_network(url):
        raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", no_network)
    assert Tagger.load("hf://me/genres").digest == again.digest  # it is kept
    with pytest.raises(UserError, match=r"hf://me/other can't be loaded .* go online once"):
        Tagger.load("hf://me/other")


def test_what_the_hub_refuses_is_one_line(hub, checkpoint, monkeypatch):
    with pytest.raises(UserError, match=r"hf://me/none: the hub has no such checkpoint"):
        Tagger.load("hf://me/none")
    with pytest.raises(UserError, match=r"hf://none: give hf://OWNER/NAME"):
        Tagger.load("hf://none")
    monkeypatch.setattr(Hub, "refuses", True)
    with pytest.raises(UserError, match="log in with hf auth login"):
        export.main(["--run", checkpoint, "--to", "hf://me/genres"])
    with pytest.raises(UserError, match=r"give --out FILE, or --to"):
        export.main(["--run", checkpoint])
