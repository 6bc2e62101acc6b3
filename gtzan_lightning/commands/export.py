"""A model as one ONNX file: ``python experiments/export.py --run RUN --out genres.onnx``."""

from pathlib import Path

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, program, track_of


def main(argv: list[str]) -> None:
    """Export, compare with the checkpoint, say what the file takes."""
    parser = Parser(
        prog=program("export"),
        allow_abbrev=False,
        description="Write a run's model as one ONNX file: mono waveforms of a fixed length at the "
        "model's rate in, ten probabilities a song out; pictures, clips and vote are inside, and "
        "genres and rate are in the file's metadata. It is kept only if ONNX Runtime gets the "
        "probabilities of the checkpoint.",
    )
    parser.add_argument("--run", required=True, help="MLflow run id, checkpoint or models:/NAME/1")
    parser.add_argument("--out", required=True, metavar="FILE", help="file to write: .onnx")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="length of the songs it takes (default: 30)"
    )
    parser.add_track("uri", "folder")
    args = vars(parser.parse_all(argv))
    out = Path(args["out"])
    if out.suffix != ".onnx":
        raise UserError(f"--out {out}: its name must end in .onnx")
    if out.exists():
        raise UserError(f"--out {out} exists: take another name, or remove it")
    if not 0 < args["seconds"] <= 3600:
        raise UserError(f"--seconds {args['seconds']:g} is not between 0 and 3600")
    from gtzan_lightning.inference.onnx import to_onnx
    from gtzan_lightning.inference.tagger import Tagger

    tagger = Tagger.load(args["run"], track_of(args), device="cpu")
    off = to_onnx(tagger, out, args["seconds"])
    print(
        f"{out}: waves (song, {round(args['seconds'] * tagger.spec.sample_rate)}) at "
        f"{tagger.spec.sample_rate} Hz -> probabilities (song, {len(tagger.genres)}); at most "
        f"{off:.1g} from the checkpoint's on three synthetic songs"
    )
