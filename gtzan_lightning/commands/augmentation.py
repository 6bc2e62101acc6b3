"""Draw a clip before and after every augmentation, and log the plots as an MLflow run."""

from pathlib import Path

from gtzan_lightning.recipe.command_line import Parser, parse_run, program


def main(argv: list[str]) -> None:
    """Take ``run.py``'s flags for the recipe; ``--song`` and ``--out`` are this command's own."""
    parser = Parser(
        prog=program("augmentation"),
        allow_abbrev=False,
        description="Draw one clip, as waveform and picture, before and after every augmentation "
        "of a recipe (each at probability 1), into --out and into an MLflow run. Every other flag "
        "is one of experiments/run.py, such as --model efficientnet --augment.mask_bins 0.1.",
    )
    parser.add_argument("--song", metavar="ID", help="song to draw (the first training song)")
    parser.add_argument("--out", metavar="FOLDER", default="augmentation", help="folder of plots")
    own, flags = parser.parse_known_args(argv)
    recipe, _ = parse_run(flags, "experiments/augmentation.py")
    from gtzan_lightning.training.augmentation_plots import plot_augmentations

    files, remarks = plot_augmentations(recipe, own.song, Path(own.out))
    print(*files, *remarks, sep="\n")
