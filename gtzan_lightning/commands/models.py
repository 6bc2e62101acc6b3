"""Print the models: every ``--model``, where it comes from, what it is and how large."""

from gtzan_lightning.recipe.command_line import Parser


def main(argv: list[str]) -> None:
    """Print a Markdown table of the models."""
    parser = Parser(
        "models",
        "Print every model: its source, what it is, and its parameters on the source's pictures "
        "(as published) and on the default ones. experiments/run.py --model NAME --help explains "
        "the settings of a model.",
    )
    parser.parse_all(argv)
    import pandas as pd

    from gtzan_lightning.models.listing import rows

    print(pd.DataFrame(rows()).fillna("").to_markdown(index=False))
