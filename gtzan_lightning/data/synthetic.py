"""Ten procedural genres with GTZAN's names: genre, number, seed -> a waveform; needs no download.

The genres differ in tempo, drums, chords, bass and timbre, loosely as the real ones do, and
overlap on purpose: each song jitters everything and borrows some traits from other genres. They
serve tests and first runs; a number measured on them says nothing about music.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np

VERSION = 1  # raise it whenever a song sounds different: its corpus is packed anew then
MODES = {  # semitones of the seven degrees above the tonic
    "major": (0, 2, 4, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}


@dataclass(frozen=True)
class Genre:
    """How a genre is played. A pattern is a bar of 16 steps: . rest, x hit, digit a chord step."""

    tempo: tuple[float, float]  # lowest and highest, beats a minute
    swing: float  # how late the second half of each beat comes, in beats; 1/6 is a shuffle
    kick: str
    snare: str
    hat: str
    mode: str
    chords: str  # the degree of each bar's chord
    voicing: str  # steps of a chord above its root: 1 root, 3 third, 5 fifth, 8 octave
    comp: str  # where the chord sounds: x all of it, a digit one step of it
    bass: str
    lead: float  # probability of a melody note at each step
    rolloff: float  # harmonic h has amplitude h ** -rolloff
    attack: float  # seconds
    ring: float  # seconds in which a note decays by 1/e
    drive: float  # gain before the distortion
    levels: tuple[float, float, float, float]  # drums, bass, chords, lead


# fmt: off
TABLE = {
    "blues": Genre((75, 125), 1 / 6, "x.......x.......", "....x.......x...", "x.x.x.x.x.x.x.x.",
        "mixolydian", "111144115415", "1357", "x.x.x.x.x.x.x.x.", "1.3.5.6.7.6.5.3.",
        0.25, 1.3, 0.005, 0.35, 1.5, (0.6, 0.8, 0.7, 0.8)),
    "classical": Genre((60, 115), 0, "................", "................", "................",
        "harmonic", "14511625", "1358", "1.5.3.5.1.5.3.5.", "1.......5.......",
        0.3, 1.7, 0.06, 0.9, 0.3, (0.3, 0.6, 0.8, 1.0)),
    "country": Genre((85, 140), 0.03, "x.......x.......", "....x.......x...", "x.xxx.xxx.xxx.xx",
        "major", "11441155", "135", "....x.......x...", "1.......5.......",
        0.35, 1.1, 0.003, 0.25, 0.7, (0.5, 0.8, 0.8, 0.8)),
    "disco": Genre((108, 132), 0, "x...x...x...x...", "....x.......x...", "..x...x...x...x.",
        "dorian", "14142514", "1357", "..xx..x...xx..x.", "1.8.1.8.1.8.1.8.",
        0.15, 1.0, 0.01, 0.2, 1.0, (1.0, 0.9, 0.6, 0.5)),
    "hiphop": Genre((80, 110), 0.06, "x..x..x...x.....", "....x.......x..x", "x.xxx.x.x.xxx.x.",
        "minor", "11116611", "137", "x.........x.....", "1..1......8.....",
        0.1, 1.8, 0.01, 0.4, 0.8, (1.1, 1.1, 0.5, 0.3)),
    "jazz": Genre((95, 190), 1 / 6, "x...............", "......x.......x.", "x...x.x.x...x.x.",
        "dorian", "25112536", "3579", "......x...x.....", "1...3...5...6...",
        0.3, 1.8, 0.015, 0.4, 0.5, (0.5, 0.9, 0.6, 0.9)),
    "metal": Genre((105, 180), 0, "xxx.xxx.xxx.xxx.", "....x.......x...", "x...x...x...x...",
        "phrygian", "11216127", "158", "x.xxx.xxx.xxx.xx", "1.111.111.111.11",
        0.1, 0.8, 0.003, 0.3, 8.0, (0.8, 0.7, 1.0, 0.5)),
    "pop": Genre((90, 132), 0, "x.....x.x.......", "....x.......x...", "x.x.x.x.x.x.x.x.",
        "major", "15641564", "1358", "x.......x.......", "1...1...1...1...",
        0.3, 1.2, 0.02, 0.5, 0.9, (0.9, 0.8, 0.7, 0.8)),
    "reggae": Genre((65, 100), 0.05, "........x.......", "........x.......", "x.x.x.x.x.x.x.x.",
        "minor", "14141741", "135", "....x.......x...", "1..3..5...1.....",
        0.1, 1.4, 0.004, 0.12, 0.9, (0.7, 1.1, 0.7, 0.5)),
    "rock": Genre((95, 145), 0, "x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x.",
        "mixolydian", "17411745", "158", "x..x..x.x.x.x...", "1.1.1.1.1.1.1.1.",
        0.2, 1.0, 0.005, 0.5, 4.0, (0.9, 0.8, 0.9, 0.7)),
}
# fmt: on

TRAITS = {  # fields that go together -> probability that they come from another genre
    ("tempo", "swing"): 0.1,
    ("kick", "snare", "hat"): 0.1,
    ("mode", "chords", "voicing"): 0.1,
    ("comp",): 0.1,
    ("bass",): 0.1,
    # borrowed more often, so that the average spectrum alone does not give the genre away
    ("rolloff", "attack", "ring", "drive"): 0.25,
    ("lead", "levels"): 0.25,
}
# Standard deviation of the logarithm of each song's own factor.
SPREADS = {"rolloff": 0.25, "attack": 0.4, "ring": 0.35, "drive": 0.4, "lead": 0.4, "swing": 0.2}
DRUMS = ("kick", "snare", "hat")
OCTAVES = {"bass": -12, "comp": 12, "tune": 24}  # semitones above the tonic


def render(genre: str, number: int, seed: int, seconds: float, sample_rate: int) -> np.ndarray:
    """Song ``number`` of ``genre`` as float32 (sample,) in [-1, 1].

    The arguments decide everything; machines may differ in the last bits of their sines.
    """
    rng = np.random.default_rng([seed, zlib.crc32(genre.encode()), number])
    plan = _borrow(genre, rng)
    plan = replace(plan, **{k: getattr(plan, k) * rng.lognormal(0, s) for k, s in SPREADS.items()})
    levels = dict(zip(("drums", *OCTAVES), plan.levels * rng.lognormal(0, 0.5, 4), strict=True))
    tonic, kit = rng.integers(40, 52), rng.lognormal(0, 0.25)
    wave = np.zeros(round(seconds * sample_rate), np.float32)
    for (part, degrees), starts in _score(plan, seconds, rng).items():
        if part in DRUMS:
            hit = levels["drums"] * _drum(part, kit, sample_rate, rng)
        else:
            scale = tonic + OCTAVES[part] + np.add.outer(12 * np.arange(3), MODES[plan.mode])
            hertz = 440 * 2 ** ((scale.ravel()[list(degrees)] - 69) / 12)
            hit = levels[part] * _chord(hertz, plan, sample_rate)
        _add(wave, hit, starts, sample_rate, rng)
    wave /= np.abs(wave).max() + 1e-9
    wave += 10 ** rng.uniform(-3.5, -1.8) * rng.standard_normal(len(wave), np.float32)
    wave[1:] += rng.uniform(-0.8, 0.9) * wave[:-1]  # a tilt equaliser, from bright to dull
    return wave * np.float32(rng.uniform(0.3, 0.95) / np.abs(wave).max())


def _borrow(genre: str, rng: np.random.Generator) -> Genre:
    plan = TABLE[genre]
    others = [other for name, other in TABLE.items() if name != genre]
    for trait, probability in TRAITS.items():
        if rng.random() < probability:
            other = others[rng.integers(len(others))]
            plan = replace(plan, **{field: getattr(other, field) for field in trait})
    return plan


def _score(
    plan: Genre, seconds: float, rng: np.random.Generator
) -> dict[tuple[str, tuple[int, ...]], list[float]]:
    """What is played when: (part, degrees of the scale above the tonic) -> starts in seconds."""
    beat = 60 / rng.uniform(*plan.tempo)
    late = np.array([0, plan.swing / 2, plan.swing, plan.swing / 2] * 4)
    offsets = beat * (np.arange(16) / 4 + late)
    tune = [m if rng.random() < plan.lead else "." for m in rng.choice(list("135689"), 16)]
    patterns = {part: getattr(plan, part) for part in (*DRUMS, "bass", "comp")} | {"tune": tune}
    first = rng.integers(len(plan.chords)) + rng.random()  # a song begins inside a bar
    score: dict[tuple[str, tuple[int, ...]], list[float]] = {}
    for bar in range(int(first), int(first + seconds / beat / 4) + 1):
        chord = int(plan.chords[bar % len(plan.chords)])
        for part, pattern in patterns.items():
            for offset, sign in zip(offsets, pattern, strict=True):
                if sign != "." and rng.random() > 0.06:  # players leave out a few
                    steps = "" if part in DRUMS else sign.replace("x", plan.voicing)
                    hit = part, tuple(chord + int(step) - 2 for step in steps)
                    score.setdefault(hit, []).append((bar - first) * 4 * beat + offset)
    return score


def _drum(part: str, kit: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(int(0.3 * rate), dtype=np.float32) / rate / kit  # a small kit is high and short
    noise = rng.standard_normal(len(t), np.float32) / 3
    if part == "kick":
        cycles = 50 * t - 4 * np.exp(-t / 0.03)  # falls to 50 Hz
        return np.sin(2 * np.pi * cycles) * np.exp(-t / 0.1)
    if part == "snare":
        return (noise + 0.5 * np.sin(2 * np.pi * 190 * t)) * np.exp(-t / 0.06)
    return np.diff(noise, prepend=0) * np.exp(-t / 0.03)


def _chord(hertz: np.ndarray, plan: Genre, rate: int) -> np.ndarray:
    """Notes of frequencies ``hertz`` (note,) struck together -> (sample,)."""
    t = np.arange(int(min(3 * plan.ring, 1.5) * rate), dtype=np.float32) / rate
    wave = np.zeros_like(t)
    for note in hertz:
        harmonics = np.arange(1, min(int(0.45 * rate / note), 40) + 1)
        spectrum = np.append(0, -0.5j * harmonics**-plan.rolloff)  # a sum of sines
        cycle = np.fft.irfft(spectrum, 2048, norm="forward").astype(np.float32)
        # reading one cycle from a table costs far less than a sine for each harmonic
        wave += cycle[(t * np.float32(2048 * note)).astype(np.int32) & 2047]
    wave = np.tanh(plan.drive / len(hertz) * wave) / np.tanh(plan.drive)
    fade = np.minimum(1, (t[-1] - t) / 0.03)
    return wave * (1 - np.exp(-t / plan.attack)) * np.exp(-t / plan.ring) * fade


def _add(
    wave: np.ndarray, hit: np.ndarray, starts: list[float], rate: int, rng: np.random.Generator
) -> None:
    for start in starts:
        at = round((start + rng.normal(0, 0.004)) * rate)
        end = min(at + len(hit), len(wave))
        if end > max(at, 0):
            wave[max(at, 0) : end] += rng.uniform(0.6, 1) * hit[max(-at, 0) : end - at]
