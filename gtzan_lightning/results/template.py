"""Templates of HTML pages, for this room and those above; nothing heavy is imported here."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template


def template(name: str, folder: Path = Path(__file__).parent) -> Template:
    """A page's template, which may include ``style.jinja``; what is put into it is escaped.

    Args:
        folder: of a template that is not in this room.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined,
    )  # fmt: skip
    return environment.get_template(name)
