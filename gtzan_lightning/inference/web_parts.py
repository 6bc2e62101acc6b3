"""What the web page shows of an answer, as HTML; names of songs and files are escaped."""

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from gtzan_lightning.data.sound_files import to_mp3
from gtzan_lightning.inference.explain import Explained
from gtzan_lightning.inference.explained import png
from gtzan_lightning.inference.similar import Index, Library
from gtzan_lightning.inference.sound import Sound
from gtzan_lightning.inference.verdict import level

SHOWN = {  # part of the plot -> what it shows, for who can't see it
    "map": "where in the clip's picture the model finds the genre",
    "curve": "probabilities of the genres over the song",
}
CSS = """
.gradio-container{max-width:70rem !important;margin:auto !important}
.gradio-container .main{padding:.6rem .8rem !important;min-width:0}
#answer{min-height:7rem}
#answer h2{font-size:1.9rem;line-height:1.2;margin:.3rem 0}
#answer p,#alike p,#details p{margin:.3rem 0;overflow-wrap:anywhere}
#why:not(:has(img)){display:none}
#alike:not(:has(p)){display:none}
#why .plots{display:flex;flex-wrap:wrap;gap:.6rem}
#why img{flex:1 1 min(18rem,100%);min-width:0;max-width:100%;background:#fff;border-radius:6px}
#alike .song{display:flex;flex-wrap:wrap;gap:.2rem .8rem;align-items:center;padding:.25rem 0}
#alike .song span{flex:1 1 14rem;overflow-wrap:anywhere}
#alike audio{flex:1 1 14rem;max-width:30rem;height:2.4rem}
"""


def heading(headline: str, doubts: Sequence[str] = ()) -> str:
    """The answer in large letters, and what speaks against it."""
    said = "".join(f"<p>{escape(doubt)}</p>" for doubt in doubts)
    return f"<h2>{escape(headline)}</h2>{said}".replace(" %", "&nbsp;%")


def reasons(explained: Explained) -> str:
    """The map and the genres over the song."""
    drawn = explained.plot.parts()
    plots = [
        f'<img src="data:image/png;base64,{base64.b64encode(png(drawn[part])).decode()}" '
        f'alt="{alternative}">'
        for part, alternative in SHOWN.items()
    ]
    return f'<div class="plots">{"".join(plots)}</div>'


def details(explained: Explained, sound: Sound, model: str) -> str:
    """The small print."""
    prediction = explained.prediction
    clips = len(prediction.starts)
    lines = [
        f"model: {model}",
        f"{prediction.seconds:.1f} s at {level(sound):.0f} dBFS, {clips} clip{'s' * (clips > 1)}",
        *prediction.remarks,
        f"the map: {explained.meaning.sentence()}",
    ]
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def alike(index: Index, vector: np.ndarray | None) -> str:
    """The songs nearest to a vector, with players where their sound is there."""
    if index.library is None:
        return f"<p>songs like it: {escape(index.words())}</p>"
    if vector is None:
        return ""
    near = index.library.nearest(vector)
    rows = "".join(_song(index.library, *one) for one in near)
    return f"<p><b>songs like it</b></p>{rows}"


def _song(library: Library, song: str, genre: str, similarity: float) -> str:
    words = f"<span>{escape(song)}: {escape(genre)}, similarity {similarity:.2f}</span>"
    middle = library.middle(song)
    if middle is None:
        return f'<div class="song">{words}</div>'
    sound = base64.b64encode(to_mp3(*middle)).decode()
    player = f'<audio controls preload="metadata" src="data:audio/mpeg;base64,{sound}"></audio>'
    return f'<div class="song">{words}{player}</div>'
