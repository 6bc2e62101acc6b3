"""A web page that recognises genres: ``python experiments/app.py --run RUN``."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gtzan_lightning.commands.early import check_runs, first_word
from gtzan_lightning.inference.web_files import temporary
from gtzan_lightning.inference.web_password import USER, VARIABLE, read_password
from gtzan_lightning.recipe.command_line import READY, Parser, track_of
from gtzan_lightning.recipe.settings import TrackSettings

if TYPE_CHECKING:
    from gtzan_lightning.inference.web import Served


def main(argv: list[str]) -> None:
    """Load the models and serve the page until Ctrl-C."""
    parser = Parser(
        "app",
        "Serve a web page: record 30 s or drop a file, and see its genre with all probabilities, "
        "why (Grad-CAM over the picture), when (genres over time), and similar songs of the run's "
        "corpus, which are indexed while the page is open. It needs no network; only this machine "
        "can reach it unless --host allows more.",
    )
    parser.add_run("can be chosen between")
    parser.add_argument("--host", default="127.0.0.1", help="address of the server (127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="port (7860)")
    parser.add_argument(
        "--password-file", metavar="FILE",
        help="file whose first line is the password of the page, "
        f"for nobody else to read (user: {USER}); or set {VARIABLE}",
    )  # fmt: skip
    parser.add_argument(
        "--allow-host", metavar="NAME", nargs="+", default=[],
        help="names besides localhost and --host by which browsers may ask for the page, such as "
        "that of a proxy in front",
    )  # fmt: skip
    parser.add_argument("--data.root", help="folder of the runs' corpus, if it has moved")
    parser.add_raw()
    parser.add_track("uri", "folder")
    args = vars(parser.parse_all(argv))
    track = track_of(args)
    password = read_password(args["password_file"])
    check_runs(args["run"], track)
    first_word("loading the page and its models")
    with temporary() as folder:
        from gtzan_lightning.inference.web import serve

        models = [_served(run, track, args["raw"], args["data.root"]) for run in args["run"]]
        serve(models, args["host"], args["port"], password, args["allow_host"], folder)


def _served(run: str, track: TrackSettings, raw: bool, root: str | None) -> "Served":
    """The model of a run; the one that comes with the package has songs where a folder is named."""
    from gtzan_lightning.data.packing import prepare
    from gtzan_lightning.inference.similar import Index
    from gtzan_lightning.inference.tagger import Tagger
    from gtzan_lightning.inference.web import Served

    tagger, index = Tagger.load(run, track, raw=raw), None
    if run != READY or root:
        data = tagger.recipe.data
        data = data.model_copy(update={"root": root or data.root, "download": False})
        index = Index(tagger, partial(prepare, data), Path(track.folder) / "likeness")
    return Served(tagger.named(run), tagger, index)
