"""A model as one file: ``python experiments/export.py --run RUN --out genres.onnx``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtzan_lightning.commands.early import check_runs, first_word
from gtzan_lightning.errors import UserError
from gtzan_lightning.recipe.command_line import Parser, track_of

if TYPE_CHECKING:
    from gtzan_lightning.models.checkpoint import Checkpoint


def main(argv: list[str]) -> None:
    """Export; compare an ONNX file with the checkpoint and say what it takes."""
    args = vars(_parser().parse_all(argv))
    out = None if args["to"] else Path(args["out"] or "")
    _check(args, out)
    check_runs([args["run"]], track_of(args))
    first_word("loading the model")
    from gtzan_lightning.inference.tagger import fetch_checkpoint

    checkpoint = fetch_checkpoint(args["run"], track_of(args), args["raw"])
    if args["temperature"]:
        checkpoint = checkpoint.with_temperature(args["temperature"])
    if out is None:
        from gtzan_lightning.inference.hub import upload

        print(upload(checkpoint, args["to"]))
    elif out.suffix == ".ckpt":
        from gtzan_lightning.inference.share import write_shareable
        from gtzan_lightning.inference.tagger import Tagger

        write_shareable(checkpoint, out)
        print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, digest {Tagger.load(out).digest}")
    else:
        _to_onnx(checkpoint, out, args["seconds"])


def _parser() -> Parser:
    parser = Parser(
        "export",
        "Write a model as one file. ONNX: mono waveforms of a fixed length at the model's sample "
        "rate in, the probability of every genre out; clips, pictures and vote are inside, genres "
        "and rate are in its metadata. The file is kept only if ONNX Runtime predicts the "
        "checkpoint's probabilities. Checkpoint: half the size, without the folders of its run, to "
        "give away.",
    )
    parser.add_run()
    parser.add_argument("--out", metavar="FILE", help="file to write: .onnx or .ckpt")
    parser.add_argument(
        "--to", metavar="hf://OWNER/NAME",
        help="in place of --out: push the checkpoint with its card to the Hugging Face hub",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="length of the songs of an ONNX file (30)"
    )
    parser.add_argument(
        "--temperature", type=float, metavar="T",
        help="of the probabilities, in place of the one that the validation songs gave",
    )  # fmt: skip
    parser.add_raw()
    parser.add_track("uri", "folder")
    return parser


def _check(args: dict[str, Any], out: Path | None) -> None:
    if bool(args["out"]) == bool(args["to"]):
        raise UserError("give --out FILE, or --to hf://OWNER/NAME")
    if out and out.suffix not in (".onnx", ".ckpt"):
        raise UserError(f"--out {out}: its name must end in .onnx or .ckpt")
    if out and out.exists():
        raise UserError(f"--out {out} exists: take another name, or remove it")
    if args["temperature"] is not None and not 0.01 <= args["temperature"] <= 100:
        raise UserError(f"--temperature {args['temperature']:g} is not between 0.01 and 100")
    if not 0 < args["seconds"] <= 3600:
        raise UserError(f"--seconds {args['seconds']:g} is not between 0 and 3600")


def _to_onnx(checkpoint: "Checkpoint", out: Path, seconds: float) -> None:
    from gtzan_lightning.inference.onnx import to_onnx
    from gtzan_lightning.inference.tagger import Tagger

    tagger = Tagger(checkpoint)
    off = to_onnx(tagger, out, seconds)
    print(
        f"{out}: waves (song, {round(seconds * tagger.sample_rate)}) at "
        f"{tagger.sample_rate} Hz -> probabilities (song, {len(tagger.genres)}); at most "
        f"{off:.1g} from the checkpoint's on three synthetic songs"
    )
