"""Print the models: every ``--model``, where it comes from, what it is and how large."""

from gtzan_lightning.commands.early import first_word
from gtzan_lightning.recipe.command_line import READY, Parser


def main(argv: list[str]) -> None:
    """Print a Markdown table of the models."""
    parser = Parser(
        "models",
        "Print every model: its source, what it is, and its parameters on the source's pictures "
        "(as published) and on the default ones. experiments/run.py --model NAME --help explains "
        "the settings of a model.",
    )
    parser.add_argument(
        "--ready", action="store_true", help="print the model that comes with the package"
    )
    if parser.parse_all(argv).ready:
        first_word("loading the model")
        from gtzan_lightning.inference.tagger import Tagger

        tagger = Tagger.load(READY, device="cpu")
        print(f"{tagger.named(READY)}; genres {', '.join(tagger.genres)}")
        print("what it heard, what it reaches and where it fails: docs/model-card.md")
        return
    first_word("making each model to count its parameters")
    import pandas as pd

    from gtzan_lightning.models.listing import rows

    print(pd.DataFrame(rows()).fillna("").to_markdown(index=False))
