"""A model as one ONNX file: ``python experiments/export.py --run RUN --out genres.onnx``."""

from pathlib import Path

from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, track_of


def main(argv: list[str]) -> None:
    """Export, compare with the checkpoint, say what the file takes."""
    parser = Parser(
        "export",
        "Write a model as one ONNX file: mono waveforms of a fixed length at the model's sample "
        "rate in, the probability of every genre out; clips, pictures and vote are inside, genres "
        "and rate are in its metadata. The file is kept only if ONNX Runtime predicts the "
        "checkpoint's probabilities.",
    )
    parser.add_argument("--run", required=True, help="MLflow run id, checkpoint or models:/NAME/1")
    parser.add_argument("--out", required=True, metavar="FILE", help="file to write: .onnx")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the songs (30)")
    parser.add_raw()
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

    tagger = Tagger.load(args["run"], track_of(args), device="cpu", raw=args["raw"])
    off = to_onnx(tagger, out, args["seconds"])
    print(
        f"{out}: waves (song, {round(args['seconds'] * tagger.sample_rate)}) at "
        f"{tagger.sample_rate} Hz -> probabilities (song, {len(tagger.genres)}); at most "
        f"{off:.1g} from the checkpoint's on three synthetic songs"
    )
