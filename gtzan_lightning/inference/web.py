"""The web page: sound in, genre and reasons out. The only file that imports gradio.

It asks nothing of any other host: gradio's telemetry is off and its assets are its own.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported

import gradio as gr
import numpy as np
from PIL import Image

from gtzan_lightning.data.audio import BrokenSong, probe_seconds
from gtzan_lightning.inference.explain import explain_song
from gtzan_lightning.inference.similar import Library
from gtzan_lightning.inference.sound import file_to_sound
from gtzan_lightning.inference.tagger import Tagger

LONGEST = 600  # seconds of a song
LARGEST = "60mb"
# A browser takes noise, echo and level out of what it records, and music with them
HEAD = """<script>(() => {
  const devices = navigator.mediaDevices;
  if (!devices) return;
  const ask = devices.getUserMedia.bind(devices);
  const plain = {echoCancellation: false, noiseSuppression: false, autoGainControl: false};
  devices.getUserMedia = wanted => ask(wanted && wanted.audio
    ? {...wanted, audio: {...(typeof wanted.audio === 'object' ? wanted.audio : {}), ...plain}}
    : wanted);
})()</script>"""


@dataclass(frozen=True)
class Served:
    """A model of the page, with the songs that it can compare with (none: None)."""

    name: str
    tagger: Tagger
    library: Library | None


def page(models: list[Served]) -> gr.Blocks:
    """The page for these models; the first is chosen at first."""
    by_name = {model.name: model for model in models}

    def answer(file: str | None, name: str) -> tuple[Any, ...]:
        nothing = (None, None, None)
        if not file:
            return ("Record something or drop a file first.", *nothing)
        try:
            return _answer(by_name[name], Path(file))
        except BrokenSong as broken:
            return (f"This sound can't be used: {broken}.", *nothing)

    with gr.Blocks(title="gtzan_lightning", delete_cache=(600, 3600)) as blocks:
        gr.Markdown("# Which genre is it?\nRecord up to 30 seconds, or drop a sound file.")
        with gr.Row():
            with gr.Column():
                audio = gr.Audio(sources=["upload", "microphone"], type="filepath", label="sound")
                chosen = gr.Dropdown(list(by_name), value=models[0].name, label="model")
                button = gr.Button("Listen", variant="primary")
                message = gr.Markdown(elem_id="message")
                label = gr.Label(num_top_classes=10, label="genre")
            with gr.Column(scale=2):
                picture = gr.Image(label="why, and when", type="pil", format="png")
                alike = gr.Dataframe(
                    headers=["song", "genre", "similarity"], label="songs like it",
                    interactive=False,
                )  # fmt: skip
        button.click(
            answer, [audio, chosen], [message, label, picture, alike], api_name="listen",
            concurrency_limit=1,
        )  # fmt: skip
    return blocks.queue(max_size=20)


def _answer(model: Served, file: Path) -> tuple[Any, ...]:
    seconds = probe_seconds(file)
    if seconds > LONGEST:
        raise BrokenSong("too long", f"{seconds:.0f} s, more than {LONGEST} s")
    tagger = model.tagger
    sound = file_to_sound(file, tagger.sample_rate)
    # gradio takes the picture into its own cache, which forgets it after an hour
    with tempfile.TemporaryDirectory(prefix="gtzan-") as folder:
        explained = explain_song(tagger, "song", sound, Path(folder))
        plot = Image.open(explained.files[0])
        plot.load()
    prediction = explained.prediction
    # a recording that is far below a song's level says more of the microphone than of the music
    level = 20 * np.log10(np.sqrt(np.mean(sound.wave**2)))
    length = f"{prediction.seconds:.1f} s at {level:.0f} dBFS"
    remarks = [length, *prediction.remarks, explained.meaning.sentence()]
    alike = []
    if model.library is not None:
        near = model.library.nearest(tagger.embed(sound.wave, sound.rate))
        alike = [[song, genre, round(value, 3)] for song, genre, value in near]
    scores = dict(zip(tagger.genres, map(float, prediction.probabilities), strict=True))
    return "; ".join(remarks), scores, plot, alike


def serve(models: list[Served], host: str, port: int, password: str | None) -> None:
    """Serve the page until it is interrupted."""
    if host not in ("127.0.0.1", "localhost"):
        print("browsers give a microphone to localhost and to https only: put https in front")
    page(models).launch(
        server_name=host, server_port=port, auth=("gtzan", password) if password else None,
        max_file_size=LARGEST, head=HEAD, share=False, show_error=False, quiet=False,
        footer_links=[],
    )  # fmt: skip
