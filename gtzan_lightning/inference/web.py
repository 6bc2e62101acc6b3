"""The web page: sound in, genre and reasons out. The only file that imports gradio.

It asks nothing of any other host: gradio's telemetry is off and its assets are its own.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported

import gradio as gr
import numpy as np

from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.sound_files import write
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.explain import explain_sound
from gtzan_lightning.inference.similar import Index
from gtzan_lightning.inference.sound import Sound, file_to_sound
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.inference.verdict import NO_MUSIC, verdict
from gtzan_lightning.inference.web_parts import CSS, alike, details, heading, reasons

LONGEST = 600  # seconds of a song
LARGEST = "60mb"
EXAMPLES = {"classical": 1, "jazz": 1}  # genre -> number of a synthetic song
SECONDS, RATE = 15.0, 22_050  # of the examples
STEPS = 10  # of the explanation: a listener waits for it
POLL = 2.0  # seconds between looks at the songs being indexed
HINT = "<p>Drop a sound file, record up to 30 seconds, or take an example.</p>"
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
Vector = tuple[str, np.ndarray]  # a model's name, and its view of the song


@dataclass(frozen=True)
class Served:
    """A model of the page, with the songs that it can compare with (none: None)."""

    name: str
    tagger: Tagger
    index: Index | None

    def alike(self, vector: Vector | None) -> str:
        """Songs like the song whose vector it is, if that is this model's."""
        own = vector[1] if vector is not None and vector[0] == self.name else None
        return "" if self.index is None else alike(self.index, own)


@dataclass(frozen=True)
class Answers:
    """What the page's events call."""

    models: dict[str, Served]

    @property
    def indexes(self) -> list[Index]:
        """Of all models that have one."""
        return [model.index for model in self.models.values() if model.index is not None]

    def listen(self, file: str | None, name: str) -> Iterator[tuple[Any, ...]]:
        """The outputs for a sound, or for none; nothing is indexed meanwhile."""
        with ExitStack() as stack:
            for index in self.indexes:
                stack.enter_context(index.paused())
            yield from _answer(self.models[name], file)

    def look(self, name: str, vector: Vector | None) -> tuple[Any, ...]:
        """The songs like the last sound as far as they are indexed, and whether to look again."""
        is_waiting = not all(index.is_ready for index in self.indexes)
        return self.models[name].alike(vector), gr.Timer(active=is_waiting)


def page(answers: Answers, examples: list[Path]) -> gr.Blocks:
    """The page, with its first model chosen; examples are named by genre."""
    names = list(answers.models)
    with gr.Blocks(title="Which genre is it?", delete_cache=(600, 3600)) as blocks:
        gr.Markdown("# Which genre is it?")
        with gr.Row():
            with gr.Column(min_width=280):
                audio = _audio(examples)
            with gr.Column(min_width=280):
                said = gr.HTML(HINT, elem_id="answer")
                label = gr.Label(num_top_classes=10, label="all genres", show_heading=False)
        why, near = gr.HTML(elem_id="why"), gr.HTML(elem_id="alike")
        with gr.Row():
            chosen = gr.Dropdown(names, value=names[0], label="model", min_width=280, scale=3)
            again = gr.Button("Listen again", size="sm", min_width=100)
        with gr.Accordion("details", open=False):
            small = gr.HTML(elem_id="details")
        vector, timer = gr.State(), gr.Timer(POLL, active=bool(answers.indexes))
        gr.on(
            [audio.change, chosen.change, again.click], answers.listen, [audio, chosen],
            [said, label, why, near, small, vector], api_name="listen", concurrency_limit=1,
            trigger_mode="always_last",
        )  # fmt: skip
        timer.tick(
            answers.look, [chosen, vector], [near, timer], show_progress="hidden",
            api_visibility="private",
        )  # fmt: skip
    return blocks.queue(max_size=20)


def _audio(examples: list[Path]) -> gr.Audio:
    audio = gr.Audio(
        sources=["upload", "microphone"], type="filepath", label="sound",
        buttons=["download"],  # sharing would ask another host
    )  # fmt: skip
    with gr.Row():
        for file in examples:
            button = gr.Button(f"synthetic {file.stem}", size="sm", min_width=100)
            button.click(str(file).__str__, None, audio, api_visibility="private")
    gr.Markdown("The examples are synthetic: a program composed and played them.")
    return audio


def _answer(model: Served, file: str | None) -> Iterator[tuple[Any, ...]]:
    """First the genre, then the reasons, which take longer."""
    tagger = model.tagger
    if file is None:
        yield HINT, None, "", model.alike(None), "", None
        return
    try:
        sound = _sound(Path(file), tagger.sample_rate)
    except BrokenSong as broken:
        headline = NO_MUSIC if broken.what == "silent" else "This sound can't be used"
        yield heading(headline, [f"{broken}."]), None, "", model.alike(None), "", None
        return
    prediction = tagger.predict_sound(sound)
    told = verdict(prediction, sound)
    said = heading(told.headline, told.doubts)
    shares = map(float, prediction.probabilities)
    scores = dict(zip(tagger.genres, shares, strict=True))
    vector = None if model.index is None else (model.name, tagger.embed(sound.wave, sound.rate))
    near = model.alike(vector)
    yield said, scores, "", near, "", vector
    explained = explain_sound(tagger, "song", sound, steps=STEPS)
    yield said, scores, reasons(explained), near, details(explained, sound, model.name), vector


def _sound(file: Path, rate: int) -> Sound:
    return file_to_sound(file, rate, longest=LONGEST)


def serve(models: list[Served], host: str, port: int, password: str | None) -> None:
    """Serve the page until it is interrupted; songs to compare with are indexed meanwhile.

    Raises:
        UserError: the port is in use.
    """
    if host not in ("127.0.0.1", "localhost"):
        print("browsers give a microphone to localhost and to https only: put https in front")
    with tempfile.TemporaryDirectory(prefix="gtzan-") as folder:
        examples = []
        for genre, number in EXAMPLES.items():
            examples.append(Path(folder) / f"{genre}.wav")
            write(examples[-1], render(genre, number, 0, SECONDS, RATE), RATE)
        answers = Answers({model.name: model for model in models})
        blocks = page(answers, examples)
        try:
            blocks.launch(
                server_name=host, server_port=port, auth=("gtzan", password) if password else None,
                max_file_size=LARGEST, head=HEAD, css=CSS, share=False, show_error=False,
                quiet=True, footer_links=[], prevent_thread_lock=True,
            )  # fmt: skip
        except OSError:
            raise UserError(f"port {port} is in use: name another one with --port") from None
        print(f"serving {', '.join(answers.models)} on http://{host}:{port}")
        for index in answers.indexes:
            index.start()
        blocks.block_thread()
