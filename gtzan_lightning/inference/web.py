"""The web page: sound in, genre and reasons out. The only file that imports gradio.

It asks nothing of any other host: gradio's telemetry is off and its assets are its own.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported

import gradio as gr
import numpy as np
from fastapi import FastAPI

from gtzan_lightning.data.audio import BrokenSong
from gtzan_lightning.data.sound_files import write
from gtzan_lightning.data.synthetic import render
from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.explain import explain_sound
from gtzan_lightning.inference.similar import Index
from gtzan_lightning.inference.sound import Sound, file_to_sound
from gtzan_lightning.inference.tagger import Tagger
from gtzan_lightning.inference.verdict import NO_MUSIC, verdict
from gtzan_lightning.inference.web_files import CHECKED, KEPT
from gtzan_lightning.inference.web_guard import Guard
from gtzan_lightning.inference.web_parts import CSS, alike, details, heading, reasons
from gtzan_lightning.inference.web_password import Guesses, checker
from gtzan_lightning.inference.web_server import LOCAL, listen, own_names, run, share_memory

LONGEST = 600  # seconds of a song
LARGEST = "60mb"
EXAMPLES = {"classical": 1, "jazz": 1}  # genre -> number of a synthetic song
SECONDS, RATE = 15.0, 22_050  # of the examples
SESSIONS = 100  # whose last answers gradio keeps: 0.7 MB each
WAITING = 200  # listeners who are told their number; the next one is told that it is full
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
    with gr.Blocks(title="Which genre is it?", delete_cache=(CHECKED, KEPT)) as blocks:
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
    return blocks.queue(max_size=WAITING, api_open=False)


def _audio(examples: list[Path]) -> gr.Audio:
    audio = gr.Audio(
        sources=["upload", "microphone"], type="filepath", label="sound",
        buttons=["download"],  # sharing would ask another host
    )  # fmt: skip
    with gr.Row():
        for file in examples:
            button = gr.Button(f"synthetic {file.stem}", size="sm", min_width=100)
            button.click(partial(_example, file), None, audio, api_visibility="private")
    gr.Markdown("The examples are synthetic: a program composed and played them.")
    return audio


def _example(file: Path) -> str:
    """A synthetic song of the genre that the file is named after, as young as an upload."""
    try:
        os.utime(file)
    except FileNotFoundError:  # it was removed with old uploads
        write(file, render(file.stem, EXAMPLES[file.stem], 0, SECONDS, RATE), RATE)
    return str(file)


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
    try:
        explained = explain_sound(tagger, "song", sound, steps=STEPS)
    except UserError as error:  # a model of pictures that no map can be drawn over
        why = heading("No reasons", [f"{error}."])
        yield said, scores, why, near, "", vector
        return
    yield said, scores, reasons(explained), near, details(explained, sound, model.name), vector


def _sound(file: Path, rate: int) -> Sound:
    return file_to_sound(file, rate, longest=LONGEST)


def serve(
    models: list[Served],
    host: str,
    port: int,
    password: str | None,
    names: Iterable[str],
    folder: Path,
) -> None:
    """Serve the page until a signal ends it; songs to compare with are indexed meanwhile.

    Args:
        host: the address to listen at.
        names: other hosts as which the page is known.
        folder: of ``web_files.temporary``.

    Raises:
        UserError: the port is in use, or the address is none of this machine.
    """
    share_memory()
    with listen(host, port) as at:
        examples = [folder / f"{genre}.wav" for genre in EXAMPLES]
        answers = Answers({model.name: model for model in models})
        app = _application(page(answers, examples), password)
        place = f"{f'[{host}]' if ':' in host else host}:{at.getsockname()[1]}"
        print(f"serving {', '.join(answers.models)} on http://{place}", flush=True)
        if host not in LOCAL:
            print("browsers give a microphone to localhost and to https only: put https in front")
            if password is None:
                print("whoever reaches this machine can use the page: see --password-file")
        for index in answers.indexes:
            index.start()
        run(Guard(app, own_names(host), names, folder, Guesses()), at)


async def _fetch_nothing(url: str) -> NoReturn:
    raise gr.Error("upload the sound: the page fetches nothing", print_exception=False)


def _application(blocks: gr.Blocks, password: str | None) -> FastAPI:
    """The page as an application; gradio's own server would ask a proxy whether it is there."""
    blocks.state_session_capacity = SESSIONS
    # a request may name a song by an address of the web, which gradio would fetch, of any size
    gr.processing_utils.async_ssrf_protected_get = _fetch_nothing
    return gr.mount_gradio_app(
        FastAPI(openapi_url=None, docs_url=None, redoc_url=None), blocks, path="/",
        auth=checker(password) if password is not None else None,
        auth_message="The user is gtzan. After a wrong password the next guess waits longer.",
        max_file_size=LARGEST, head=HEAD, css=CSS, show_error=False, footer_links=[],
        run_history=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False,
    )  # fmt: skip
