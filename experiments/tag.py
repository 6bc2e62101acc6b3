"""Genres of many files: ``python experiments/tag.py FOLDER --run RUN --out genres.csv``."""

from pathlib import Path

from gtzan_lightning.cli import Parser, track_of
from gtzan_lightning.errors import UserError, guarded


def main(argv: list[str]) -> None:
    """Tag, say what was broken, and write the files' own tags if asked."""
    parser = Parser(
        prog="experiments/tag.py",
        allow_abbrev=False,
        description="Write a table of genres: a row for each sound file, with ten probabilities. "
        "Any rate, channel count and length; wav, au, flac, mp3, ogg, opus, aiff. A killed run "
        "goes on where it was when the same command is given again. Broken files get a row with "
        "the reason and are listed at the end.",
    )
    parser.add_argument("place", nargs="+", help="folders, searched at any depth, or files")
    parser.add_argument("--run", required=True, help="MLflow run id, checkpoint or models:/NAME/1")
    parser.add_argument("--out", required=True, metavar="FILE", help="table: .csv or .parquet")
    parser.add_argument(
        "--write-tags", action="store_true", help="also write the genre into the files' own tags"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with --write-tags: only print what would be written"
    )
    parser.add_track("uri", "folder")
    args = vars(parser.parse_all(argv))
    if args["dry_run"] and not args["write_tags"]:
        raise UserError("--dry-run belongs to --write-tags")
    from gtzan_lightning.tagging import change_tags, check_out, find_sounds, tag_files

    check_out(Path(args["out"]))
    files = find_sounds([Path(place) for place in args["place"]])
    from gtzan_lightning.tagger import Tagger

    track = track_of(args)
    tagger = Tagger.load(args["run"], track)
    tagged = tag_files(tagger, files, Path(args["out"]))
    again = f", {tagged.resumed} of them by an earlier run" if tagged.resumed else ""
    print(f"{tagged.out}: {tagged.songs} files{again}, {len(tagged.broken)} broken")
    if args["write_tags"]:
        for line in change_tags(tagged.out, dry=args["dry_run"]):
            print(line)
    for path, reason in tagged.broken:
        print(f"broken: {path}: {reason}")


if __name__ == "__main__":
    guarded(main)
