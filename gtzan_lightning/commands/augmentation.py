"""Draw a clip before and after every augmentation, and log the plots as an MLflow run."""

from pathlib import Path

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.recipe.command_line import Parser, parse_run


def main(argv: list[str]) -> None:
    """Draw and print the files; all flags but ``--song`` and ``--out`` make the recipe."""
    parser = Parser(
        "augmentation",
        "Draw a clip, as waveform and picture, before and after every augmentation of a recipe "
        "(each at probability 1). Plots go to --out and to an MLflow run. All other flags are "
        "those of experiments/run.py, such as --model efficientnet --augment.mask_bins 0.1.",
    )
    parser.add_argument("--song", metavar="ID", help="song to draw (the first of training)")
    parser.add_argument("--out", metavar="FOLDER", default="augmentation", help="folder of plots")
    own, flags = parser.parse_known_args(argv)
    recipe, _ = parse_run(flags, "augmentation", parser)
    first_word("drawing")
    from gtzan_lightning.training.augmentation_plots import plot_augmentations

    files, remarks = plot_augmentations(recipe, own.song, Path(own.out))
    print(*files, *remarks, sep="\n")
