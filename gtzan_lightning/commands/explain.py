"""What a model looked at: ``python experiments/explain.py --run RUN --song FILE_OR_ID``."""

from functools import partial
from pathlib import Path

from gtzan_lightning.commands.early import check_runs, first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, track_of

METHODS = ("grad_cam", "saliency", "integrated_gradients")


def main(argv: list[str]) -> None:
    """Explain files, songs of the run's corpus, or one song of each of several genres."""
    args = vars(_parser().parse_all(argv))
    if not args["song"] and not args["genres"]:
        raise UserError("name --song FILE_OR_ID, or --genres for one song of each")
    track = track_of(args)
    check_runs([args["run"]], track)
    first_word("loading the model")
    from gtzan_lightning.inference.corpus_songs import corpus_of, sounds_of
    from gtzan_lightning.inference.explain import explain_sound
    from gtzan_lightning.inference.explained import write_explained
    from gtzan_lightning.inference.tagger import Tagger
    from gtzan_lightning.tracking.finding import run_id
    from gtzan_lightning.tracking.glance import is_elsewhere
    from gtzan_lightning.tracking.reading import has_store
    from gtzan_lightning.tracking.store import add_files, add_opening

    # a checkpoint of elsewhere has no run that the plots could go to
    is_run = has_store(track) and not is_elsewhere(args["run"])
    run = run_id(args["run"], track) if is_run else args["run"]
    tagger = Tagger.load(run, track, raw=args["raw"])
    opened = partial(add_opening, run, track) if args["open_test"] else None
    corpus = corpus_of(tagger, args["data.root"], opened)
    model = tagger.named(run)
    songs = sounds_of(tagger, args["song"], args["genres"], corpus)
    for name, sound in songs:
        why = explain_sound(tagger, name, sound, args["method"], args["genre"])
        files = write_explained(why, name, sound, model, Path(args["out"]))
        print(f"{name}: {why.genre} {why.probability:.2f}; {why.meaning.sentence()}")
        print(*(f"  {file}" for file in files), sep="\n")
        if is_run:
            add_files(run, track, files, "explained")


def _parser() -> Parser:
    parser = Parser(
        "explain",
        "Draw what a model looked at in a song: a map over the picture of the clip that speaks "
        "most for the genre, the genres over time, and a sound file of what the map marks; a page "
        "shows and plays them. "
        "Deletion, insertion and the map of an untrained network tell whether the map means "
        "anything. Plots go to --out, and to the MLflow run if --run is one. motyka's examples: "
        "--genres jazz classical pop metal.",
    )
    parser.add_run()
    parser.add_argument("--song", nargs="+", default=[], metavar="FILE_OR_ID",
                        help="sound files, or ids of songs in the run's corpus")  # fmt: skip
    parser.add_argument("--genres", nargs="+", default=[], metavar="GENRE",
                        help="a song of each genre, of the valid part")  # fmt: skip
    parser.add_argument("--open-test", action="store_true",
                        help="songs of the test part: for showing a final model, not for choosing "
                        "one; the opening is recorded with the run")  # fmt: skip
    parser.add_argument("--genre", help="genre to explain (the predicted one)")
    parser.add_argument("--method", choices=METHODS, help="method (grad_cam where possible)")
    parser.add_argument("--out", default="explained", metavar="FOLDER", help="folder of the plots")
    parser.add_argument("--data.root", help="folder of the run's corpus, if it has moved")
    parser.add_raw()
    parser.add_track("uri", "folder")
    return parser
