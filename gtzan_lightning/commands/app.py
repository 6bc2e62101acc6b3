"""A web page that recognises genres: ``python experiments/app.py --run RUN``."""

from functools import partial
from pathlib import Path

from gtzan_lightning.commands.early import check_runs, first_word
from gtzan_lightning.recipe.command_line import READY, Parser, track_of


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
    parser.add_argument("--password", help="password of the page (user: gtzan)")
    parser.add_argument("--data.root", help="folder of the runs' corpus, if it has moved")
    parser.add_raw()
    parser.add_track("uri", "folder")
    args = vars(parser.parse_all(argv))
    track = track_of(args)
    check_runs(args["run"], track)
    first_word("loading the page and its models")
    from gtzan_lightning.data.packing import prepare
    from gtzan_lightning.inference.similar import Index
    from gtzan_lightning.inference.tagger import Tagger
    from gtzan_lightning.inference.web import Served, serve

    models = []
    for run in args["run"]:
        tagger, index = Tagger.load(run, track, raw=args["raw"]), None
        if run != READY or args["data.root"]:  # that one comes without songs
            data = tagger.recipe.data
            here = {"root": args["data.root"] or data.root, "download": False}
            data = data.model_copy(update=here)
            index = Index(tagger, partial(prepare, data), Path(track.folder) / "likeness")
        models.append(Served(tagger.named(run), tagger, index))
    serve(models, args["host"], args["port"], args["password"])
