"""A web page that names genres: ``python experiments/app.py --run RUN``."""

from pathlib import Path

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, program, track_of


def main(argv: list[str]) -> None:
    """Load the models and serve the page until Ctrl-C."""
    parser = Parser(
        prog=program("app"),
        allow_abbrev=False,
        description="A web page: record 30 s or drop a file; see the genre with all probabilities, "
        "why (Grad-CAM over the picture) and when (the genres over the seconds), and songs like it "
        "from the run's corpus. It needs no network and listens on this machine only, unless "
        "--host says otherwise.",
    )
    parser.add_argument(
        "--run", required=True, nargs="+", help="MLflow run ids, checkpoints or models:/NAME/1"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="(7860)")
    parser.add_argument("--password", help="ask for it (user gtzan)")
    parser.add_argument("--data.root", help="where the runs' corpus is now, if elsewhere")
    parser.add_track("uri", "folder")
    args = vars(parser.parse_all(argv))
    track = track_of(args)
    from gtzan_lightning.data.packing import prepare
    from gtzan_lightning.inference.similar import library
    from gtzan_lightning.inference.tagger import Tagger
    from gtzan_lightning.inference.web import Served, serve

    models = []
    for run in args["run"]:
        tagger = Tagger.load(run, track)
        data = tagger.recipe.data
        if args["data.root"]:
            data = data.model_copy(update={"root": args["data.root"]})
        try:
            songs = library(tagger, prepare(data), Path(track.folder) / "likeness")
        except UserError as error:
            print(f"no songs to compare with: {error}")
            songs = None
        models.append(Served(f"{tagger.recipe.model.name} {tagger.digest}", tagger, songs))
    serve(models, args["host"], args["port"], args["password"])
