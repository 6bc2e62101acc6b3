"""Print the models: every ``--model``, where it comes from, what it is and how large."""

from gtzan_lightning.recipe.command_line import Parser, program


def main(argv: list[str]) -> None:
    """Print a Markdown table of the models."""
    parser = Parser(
        prog=program("models"),
        allow_abbrev=False,
        description="Print every model: source, what it is, and its number of parameters on its "
        "source's pictures (set up as published) and on the default ones. "
        "experiments/run.py --model NAME --help explains a model's own settings.",
    )
    parser.parse_all(argv)
    import pandas as pd

    from gtzan_lightning.models.listing import rows

    print(pd.DataFrame(rows()).fillna("").to_markdown(index=False))
