"""Explanations as files: ``NAME.png``, ``NAME.wav`` and ``NAME.html``, a page that needs no other.

The page holds its plots, the clip and what the map marks of it (``explained.html.jinja``).
"""

import base64
import contextlib
import io
from pathlib import Path

from matplotlib.figure import Figure

from gtzan_lightning.data.sound_files import to_mp3, write
from gtzan_lightning.errors import UserError
from gtzan_lightning.files import replacing
from gtzan_lightning.inference.explain import Explained
from gtzan_lightning.inference.sound import Sound
from gtzan_lightning.inference.verdict import percent, verdict
from gtzan_lightning.results.template import template

DPI = 110  # of the plots


def write_explained(why: Explained, name: str, sound: Sound, model: str, out: Path) -> list[Path]:
    """Write the plot, the page, and what the map marks where that can be heard.

    Args:
        name: of the song and of the files.
        model: its name, as its card has it.
        out: folder.

    Raises:
        UserError: the folder can't be written.
    """
    files = [out / f"{name}.{kind}" for kind in ("png", "html", "wav")]
    if why.marked is None:
        files.pop()
    try:
        with contextlib.ExitStack() as all_or_none:
            parts = [all_or_none.enter_context(replacing(file)) for file in files]
            parts[0].write_bytes(png(why.plot.whole()))
            parts[1].write_text(page(why, name, sound, model), encoding="utf-8")
            if why.marked is not None:
                write(parts[2], why.marked, why.rate)
    except OSError as error:
        reason = f"explanations can't be written to {out}: {error.strerror}"
        raise UserError(reason) from None
    return files


def page(why: Explained, name: str, sound: Sound, model: str) -> str:
    """The page as text; arguments as of ``write_explained``."""
    shares = zip(why.prediction.genres, why.prediction.probabilities, strict=True)
    marked = None if why.marked is None else _address("audio/mpeg", to_mp3(why.marked, why.rate))
    return template("explained.html.jinja", Path(__file__).parent).render(
        why=why,
        name=name,
        model=model,
        said=verdict(why.prediction, sound),
        verdict=why.meaning.verdict(),
        percent=percent,
        probability=percent(why.probability),
        span=why.plot.span,
        clip=_address("audio/mpeg", to_mp3(why.clip, why.rate)),
        marked=marked,
        plots={n: _address("image/png", png(plot)) for n, plot in why.plot.parts().items()},
        genres=sorted(shares, key=lambda pair: -pair[1]),
    )


def png(plot: Figure) -> bytes:
    """A plot as an image file."""
    memory = io.BytesIO()
    plot.savefig(memory, format="png", dpi=DPI)
    return memory.getvalue()


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
