"""``gtzan data``, against a hub that is faked on this machine and a Kaggle that is faked in it."""

import hashlib
import io
import shutil
import sys
import tarfile
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest

from experiments import data as command
from gtzan_lightning.commands import run
from gtzan_lightning.data import download
from gtzan_lightning.data.catalogue import gtzan_songs
from gtzan_lightning.data.packing import resolve
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.settings import DataSettings


class Hub(BaseHTTPRequestHandler):
    """Sends who asks for the archive to another host, as the hub does; the server says how."""

    def do_GET(self):
        hub = self.server
        if self.path == "/blob":
            self.give(hub.archive, self.headers.get("Range"))
        elif "/resolve/" not in self.path:  # what else the client would like to know
            self.send_error(404)
        elif hub.status != 200:
            self.send_error(hub.status)
        else:
            hub.asked += ["metadata"] if self.command == "HEAD" else []
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{hub.server_port}/blob")
            sha256 = hub.etag or hashlib.sha256(hub.archive).hexdigest()
            self.send_header("X-Linked-Etag", f'"{sha256}"')
            self.send_header("X-Linked-Size", str(len(hub.archive)))
            self.send_header("X-Repo-Commit", "1" * 40)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def give(self, archive: bytes, part: str | None) -> None:
        self.server.asked.append(part or "all")
        assert "Authorization" not in self.headers  # it is another host
        start = int((part or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(archive) - start))
        self.end_headers()
        self.wfile.write(archive[start : self.server.cut])

    do_HEAD = do_GET

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def archive(gtzan_copy: Path) -> bytes:
    """What the hub has: 60 songs, and all that a careless or evil archive may hold beside them."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        tar.add(gtzan_copy / "Data" / "genres_original", "genres")
        for name in ("genres/rock/._rock.00001.wav", "genres/bextract.mf", "../../away.wav"):
            tar.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("genres/rock/rock.00099.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("../../../pop/pop.00099.wav"))
    return content.getvalue()


@pytest.fixture
def hub(monkeypatch, tmp_path, archive):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.archive, server.etag, server.cut, server.asked = archive, "", None, []
    server.status = 200
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_TOKEN", "secret")
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # what a cut connection may lose
    # seconds between two tries, of which there are five
    monkeypatch.setattr(huggingface_hub.file_download.time, "sleep", lambda seconds: None)
    yield server
    server.shutdown()
    server.server_close()


def fetch(root: Path, capsys, *flags: str) -> tuple[int, str]:
    status = command.main(["--data.root", str(root), *flags])
    return status, capsys.readouterr().out


def left(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()} - {".download.lock"}


def test_songs_come_and_nothing_else(hub, tmp_path, capsys, gtzan_copy):
    root = tmp_path / "data" / "gtzan"
    status, said = fetch(root, capsys)
    assert status == 1  # 940 songs of GTZAN are missing
    assert left(root) == {"genres"}
    copied, original = root / "genres", gtzan_copy / "Data" / "genres_original"
    files, songs = (
        {path.relative_to(base): path.read_bytes() for path in base.rglob("*") if path.is_file()}
        for base in (copied, original)
    )
    assert files == {**songs, Path("pop/pop.00099.wav"): b""}  # within the folder
    assert hashlib.sha256(hub.archive).hexdigest() in said
    assert "verified: 60 of 1,000 songs can be opened" in said
    assert "unreadable: pop.00099" in said
    assert "states no licence" in said
    asked = len(hub.asked)
    _, said = fetch(root, capsys)
    assert "already: nothing is downloaded" in said
    assert len(hub.asked) == asked


def test_a_cut_connection_is_resumed_within_a_call(hub, tmp_path, capsys, monkeypatch):
    whole, half = Hub.give, 1000 * (len(hub.archive) // 2000)

    def cut_once(self, archive, part):
        hub.cut = None if part else half
        whole(self, archive, part)

    monkeypatch.setattr(Hub, "give", cut_once)
    fetch(tmp_path, capsys)
    assert hub.asked == ["metadata", "all", f"bytes={half}-"]


def test_a_lost_connection_is_resumed_by_the_same_command(hub, tmp_path, capsys):
    half = hub.cut = 1000 * (len(hub.archive) // 2000)  # and again at every try
    with pytest.raises(UserError, match=rf"{half:,} of .* bytes .*: the same command resumes"):
        fetch(tmp_path, capsys)
    assert left(tmp_path) == {".genres.tar.gz.part"}
    hub.cut, hub.asked = None, []
    fetch(tmp_path, capsys)
    assert hub.asked == ["metadata", f"bytes={half}-"]
    assert left(tmp_path) == {"genres"}
    assert len(gtzan_songs(tmp_path)[0]) == 61


def test_a_wrong_digest_is_refused_and_downloaded_anew(hub, tmp_path, capsys):
    hub.etag = "0" * 64
    with pytest.raises(UserError, match=r"SHA-256 .*the hub says 000000000000.*was removed"):
        fetch(tmp_path, capsys)
    assert left(tmp_path) == set()
    hub.etag = ""
    fetch(tmp_path, capsys)
    assert left(tmp_path) == {"genres"}


@pytest.mark.parametrize("content", [b"no tar", b"", None])
def test_what_is_no_archive_of_songs_is_refused(hub, tmp_path, capsys, content):
    hub.archive = hub.archive[:-2000] if content is None else content
    with pytest.raises(UserError, match=r"can't be unpacked .*it was removed"):
        fetch(tmp_path, capsys)
    assert left(tmp_path) == set()


def test_room_is_asked_for_before_anything_comes(hub, tmp_path, capsys, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"needs 1\.4 GB in .*1\.0 GB are free"):
        fetch(tmp_path, capsys)
    assert hub.asked == ["metadata"]


def test_a_disk_that_fills_meanwhile_loses_nothing(hub, tmp_path, capsys, monkeypatch):
    def full(source, sink):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(download.shutil, "copyfileobj", full)
        with pytest.raises(UserError, match=r"No space left on device; make room"):
            fetch(tmp_path, capsys)
    assert left(tmp_path) == {".genres.tar.gz.part"}
    fetch(tmp_path, capsys)
    assert hub.asked == ["metadata", "all", "metadata"]


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "hf auth login"), (404, "--from kaggle"), (500, "give the same command again")],
)
def test_what_the_hub_refuses_is_one_line(hub, tmp_path, capsys, status, advice):
    hub.status = status
    with pytest.raises(UserError, match=advice) as refused:
        fetch(tmp_path, capsys)
    assert "\n" not in str(refused.value)
    assert str(status) in str(refused.value)


def test_without_a_network_it_is_one_line(hub, tmp_path, capsys, monkeypatch):
    hub.server_close()
    hub.shutdown()
    with pytest.raises(UserError, match=r"can't be downloaded .*go online"):
        fetch(tmp_path, capsys)


def test_a_folder_that_cannot_be_used_is_named(hub, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"can't be written to .*file"):
        fetch(tmp_path / "file", capsys)
    (tmp_path / "genres").mkdir()
    (tmp_path / "genres" / "notes.txt").write_text("")
    with pytest.raises(UserError, match=r"genres is in the way"):
        fetch(tmp_path, capsys)
    assert hub.asked == []


def test_the_cache_of_the_hub_is_used_and_left_alone(hub, tmp_path, capsys):
    kept = huggingface_hub.hf_hub_download(download.HUB, download.ARCHIVE, repo_type="dataset")
    hub.asked.clear()
    fetch(tmp_path / "gtzan", capsys)
    assert hub.asked == []
    assert Path(kept).read_bytes() == hub.archive


def test_a_run_that_asks_for_it_has_gtzan(hub, tmp_path, capsys, monkeypatch):
    from gtzan_lightning.training import train

    given = []
    outcome = types.SimpleNamespace(scores={})
    monkeypatch.setattr(train, "train", lambda recipe, resume: given.append(recipe) or outcome)
    flags = ["--data.root", str(tmp_path), "--data.download", "true"]
    run.main(["--model", "small_cnn", *flags])
    said = capsys.readouterr().out
    assert "states no licence" in said
    assert "trial" not in said  # that is for synthetic songs
    assert resolve(given[0].data) == ("gtzan", None)
    with pytest.raises(ValueError, match=r"not data\.corpus synthetic"):
        DataSettings(corpus="synthetic", download=True)


def test_kaggle_gives_its_copy(tmp_path, capsys, monkeypatch, gtzan_copy):
    kaggle = types.SimpleNamespace(dataset_download=lambda name: str(gtzan_copy))
    monkeypatch.setitem(sys.modules, "kagglehub", kaggle)
    _, said = fetch(tmp_path, capsys, "--from", "kaggle")
    assert f"on Kaggle, whose client keeps its own copy in {gtzan_copy}" in said
    assert "60 of 1,000" in said
    assert left(tmp_path) == {"genres"}

    def refuse(name):
        raise ValueError("no\ncredentials")

    kaggle.dataset_download = refuse
    with pytest.raises(UserError, match=r"\(no credentials\): .*KAGGLE_API_TOKEN"):
        fetch(tmp_path / "other", capsys, "--from", "kaggle")
    kaggle.dataset_download = lambda name: str(tmp_path / "other")
    with pytest.raises(UserError, match="holds no song of GTZAN"):
        fetch(tmp_path / "other", capsys, "--from", "kaggle")
