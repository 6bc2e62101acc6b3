"""The settings of songs, pictures, augmentation and tracking: types, bounds and help texts.

The string under a field is its ``--help`` text. A recipe (YAML) has the same sections and names.
Nothing heavy is imported, so that the command line answers at once.
"""

import warnings
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gtzan_lightning.recipe.pretrained_settings import HTK, KALDI, RAW
from gtzan_lightning.recipe.protocol_names import OF_FOLDS, Protocol
from gtzan_lightning.recipe.section import (
    Alpha,
    Names,
    Probability,
    Seconds,
    Section,
    Seed,
    Share,
    draw,
    file,
    part,
    place,
)
from gtzan_lightning.terminal import shown

Logger = Literal["tensorboard", "wandb"]
Features = Literal[
    "mel", "spectrogram", "stft", "mfcc", "chroma", "raw", "kaldi", "htk", "embedding"
]
Side = Annotated[int, Field(ge=1, le=4096)]  # of a picture, in bins or frames
LINEAR = ("stft", "chroma", "raw")  # features whose unit is not decibels, unless data.scale asks
TAGGERS = ("kaldi", "htk")  # features that networks trained on other music expect
# network -> its picture
EMBEDDINGS: dict[str, dict[str, Any]] = {
    "mn": KALDI, "fcn": HTK, "crnn": HTK, "musicnn": HTK, "encoder": RAW,
}  # fmt: skip


class DataSettings(Section):
    """Songs, protocol, clips, and the picture made of a clip."""

    corpus: Literal["auto", "gtzan", "folder", "pictures", "synthetic"] = place("auto")
    """auto: GTZAN if data.root has it, else synthetic; gtzan: GTZAN or an error; folder: sound
    files in a folder per genre; pictures: a packed corpus; synthetic: songs made by the package"""
    root: str = place("data/gtzan")
    """folder of the songs, or of the packed corpus if data.corpus is pictures"""
    download: bool = place(False)
    """fetch GTZAN (1.2 GB, from the Hugging Face hub) if data.root does not have it, as gtzan data
    does"""
    packed: str = place("data/packed")
    """folder of the decoded songs, so that each is decoded only once"""
    pack: Literal["waveforms", "pictures"] = part("waveforms")
    """what is kept: waveforms, or pictures, which are then not computed again"""
    sample_rate: Annotated[int, Field(ge=4000, le=192000)] = part(22050)
    """samples per second after resampling"""
    min_seconds: Seconds = part(1.0)
    """shortest song that is used, seconds"""
    synthetic_songs: Annotated[int, Field(ge=3, le=1000)] = place(14)
    """songs per genre of the synthetic corpus"""
    synthetic_seconds: Seconds = place(12.0)
    """length of a synthetic song, seconds"""
    synthetic_seed: Seed = place(0)
    """seed of the synthetic corpus"""

    split: Protocol = part("auto")
    """protocol that splits the songs into train, valid and test (see --list splits)"""
    fractions: Annotated[tuple[Probability, ...], Field(max_length=3)] = draw((0.7, 0.2, 0.1))
    """stratified and clips: shares of train, valid and test, or of train and test (valid is then
    taken from train); exact in every genre of GTZAN, on average in a folder of your own"""
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = draw(0.15)
    """share of the training songs used for validation where the protocol has no valid part"""
    folds: Annotated[int, Field(ge=2, le=1000)] = draw(5)
    """protocols with folds: their number"""
    fold: Annotated[int, Field(ge=0, lt=1000)] = place(0)
    """protocols with folds: the one that is tested"""
    split_seed: Seed = draw(0)
    """seed of every split that is drawn"""
    train_songs: Annotated[int, Field(ge=1, le=10**9)] | None = part(None)
    """train on so many of the protocol's training songs, alike of all genres (none: all)"""
    train_share: Annotated[float, Field(gt=0, le=1)] = part(1.0)
    """train on this share of the protocol's training songs, of every genre; a smaller share is part
    of a larger one"""
    control: Literal["shuffled_genres", "training_songs"] | None = part(None)
    """measure chance (genres shuffled over the songs) or memory (training songs are tested)"""

    clip_seconds: Seconds = part(3.0)
    """length of a clip, seconds"""
    repeat: bool = part(False)
    """clips may be longer than every song: songs are repeated to fill them, for networks that
    expect long clips"""
    clips_per_song: Annotated[int, Field(ge=1, le=10**5)] = part(5)
    """training clips per song and epoch, with random starts"""
    windows: Literal["random", "once", "pieces"] = part("random")
    """training clips: random starts drawn anew in every epoch; drawn once, as zhang did; or the
    song cut into equal pieces, as bar_tov did, whatever data.clips_per_song"""
    leave_out: Names = part(())
    """genres to leave out, as bar_tov did with country"""
    features: Features = part("mel")
    """picture, as librosa computes it: mel (Slaney scale and norm), spectrogram (all Fourier bins),
    stft (the same, linear), mfcc, chroma; raw: the waveform, for the classical baselines; kaldi,
    htk: mel pictures as networks that learnt from other music expect them; embedding: what
    data.embedding makes of a clip, for the classical baselines"""
    embedding: Literal["mn", "fcn", "crnn", "musicnn", "encoder"] | None = part(None)
    """network that has listened before, of which data.features embedding takes its numbers"""
    embedding_weights: str | None = file(None)
    """local file of its weights, instead of the download; of an encoder its name or folder"""
    embedding_learnt_from: Literal["msd", "jamendo", "mtat"] | None = part(None)
    """songs that they learnt from, of fcn, crnn and musicnn (none: those of model.learnt_from)"""
    bins: Annotated[int, Field(ge=8, le=512)] = part(128)
    """mel bins of a mel picture, and those an mfcc picture is computed from"""
    coefficients: Annotated[int, Field(ge=2, le=128)] = part(20)
    """cepstral coefficients of an mfcc picture"""
    scale: Literal["decibels", "linear"] | None = part(None)
    """unit of the picture (none: decibels, but linear for stft and chroma)"""
    range_db: Annotated[float, Field(gt=0, le=80)] = part(80.0)
    """decibels below its maximum at which a picture ends (40: as where decibels are taken twice, by
    bar_tov and navas)"""
    picture_size: tuple[Side, Side] | None = part(None)
    """bins and frames that every picture is resized to, as the sources did (none: not resized)"""
    colour: Literal["viridis", "magma", "cool"] | None = part(None)
    """colour map that gives the picture three channels, as in four sources (none: one channel)"""
    figure_aspect: Annotated[float, Field(ge=1, le=10)] | None = part(None)
    """width over height of a figure in which the picture is drawn, with matplotlib's white margins;
    its middle is cut out to data.picture_size, as bar_tov did (none: the picture alone)"""
    n_fft: Annotated[int, Field(ge=64, le=16384)] = part(2048)
    """length of the Fourier transform, samples"""
    window: Annotated[int, Field(ge=64, le=16384)] | None = part(None)
    """length of the Hann window, samples (none: n_fft)"""
    hop_length: Annotated[int, Field(ge=16, le=8192)] = part(512)
    """samples between the starts of two frames"""
    f_min: Annotated[float, Field(ge=0, le=96000)] = part(0.0)
    """lowest frequency of the mel bins, hertz"""
    f_max: Annotated[float, Field(gt=0, le=96000)] | None = part(None)
    """highest frequency of the mel bins, hertz (none: half the sample rate)"""
    workers: Annotated[int, Field(ge=0, le=1000)] = place(0)
    """processes that load batches; 0 uses the training process, enough for a packed corpus"""
    resident: bool = place(False)
    """keep the packed corpus in GPU memory and cut clips there, for networks that train faster than
    a processor can supply clips; augment.audio must be 0"""

    @property
    def picture(self) -> str:
        """The kind of picture that is made: that of the network which makes an embedding of it."""
        if self.features == "embedding":
            return str(EMBEDDINGS[str(self.embedding)]["features"])
        return self.features

    def expected(self) -> dict[str, Any]:
        """Settings of ``data.*`` that the network of an embedding needs; others are refused."""
        of_network = EMBEDDINGS.get(self.embedding or "", {})
        return {name: value for name, value in of_network.items() if name != "features"}

    @property
    def has_folds(self) -> bool:
        """Whether the protocol tests one of several folds."""
        return self.split in OF_FOLDS

    @model_validator(mode="after")
    def _no_contradiction(self) -> "DataSettings":
        if len(self.fractions) not in (2, 3) or abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(
                f"data.fractions must be two or three numbers that sum to 1, not {self.fractions}"
            )
        if self.download and self.corpus not in ("auto", "gtzan"):
            raise ValueError(f"data.download fetches GTZAN, not data.corpus {self.corpus}")
        if self.features == "mfcc" and (self.scale == "linear" or self.coefficients > self.bins):
            raise ValueError("data.features mfcc takes decibels, and at most data.bins of them")
        if self.features == "raw" and (self.scale or self.picture_size or self.colour):
            raise ValueError("data.features raw takes no data.scale, picture_size or colour")
        if (self.features == "embedding") != (self.embedding is not None):
            raise ValueError("data.features embedding goes with data.embedding, such as mn")
        if self.embedding_learnt_from and self.embedding not in ("fcn", "crnn", "musicnn"):
            raise ValueError("data.embedding_learnt_from is of data.embedding fcn, crnn or musicnn")
        if self.picture in TAGGERS and (self.scale or self.colour or self.range_db != 80):
            raise ValueError(
                f"data.features {self.features} takes no data.scale, colour or range_db: a network "
                "expects it as it is"
            )
        linear = self.scale == "linear" or (not self.scale and self.features in LINEAR)
        if self.range_db != 80 and linear:
            raise ValueError("data.range_db is of pictures in decibels")
        if self.figure_aspect and not (self.colour and self.picture_size):
            raise ValueError("data.figure_aspect needs data.colour and data.picture_size")
        if self.train_share < 1 and self.train_songs:
            raise ValueError("data.train_share and data.train_songs exclude one another")
        if self.fold >= self.folds:
            raise ValueError(f"data.fold {self.fold} is not below data.folds {self.folds}")
        if self.window is not None and self.window > self.n_fft:
            raise ValueError(f"data.window {self.window} is longer than data.n_fft {self.n_fft}")
        top = self.f_max or self.sample_rate / 2
        if not self.f_min < top <= self.sample_rate / 2:
            raise ValueError(
                f"data.f_min {self.f_min:g} < data.f_max {top:g} <= half of data.sample_rate "
                f"{self.sample_rate} does not hold"
            )
        return self


class AugmentSettings(Section):
    """Training only. The defaults are motyka's probabilities; 0 turns an augmentation off."""

    audio: Probability = part(0.5)
    """probability that a clip's waveform is augmented"""
    shift: Probability = part(0.3)
    """probability of a circular time shift by up to half the clip, if the waveform is augmented"""
    noise: Probability = part(0.35)
    """probability of Gaussian noise (amplitude 0.001 to 0.015), if the waveform is augmented"""
    spectrogram: Probability = part(0.8)
    """probability that a clip's picture is augmented"""
    mixup: Probability = part(0.65)
    """probability of mixup with another clip and its target, if the picture is augmented"""
    mixup_alpha: Alpha = part(0.5)
    """alpha of the mixup weight, Beta(alpha, alpha)"""
    cutmix: Probability = part(0.0)
    """probability of cutmix with another clip and its target, if the picture is augmented"""
    cutmix_alpha: Alpha = part(0.5)
    """alpha of the cutmix area, Beta(alpha, alpha)"""
    mask: Probability = part(0.65)
    """probability of one frequency and one time mask, if the picture is augmented"""
    mask_bins: Probability = part(0.2)
    """widest frequency mask, share of the bins"""
    mask_frames: Probability = part(0.3)
    """widest time mask, share of the frames"""
    warp: Probability = part(0.0)
    """probability of a change of tempo and register, if the picture is augmented"""
    warp_tempo: Share = part(0.15)
    """largest change of tempo, as a share"""
    warp_bins: Share = part(0.04)
    """largest shift of the register, share of the bins"""
    equaliser: Probability = part(0.0)
    """probability of a smooth random gain over the bins, if the picture is augmented"""
    equaliser_gain: Annotated[float, Field(gt=0, le=100)] = part(0.3)
    """spread of that gain, in units of the picture's own spread (about 15 dB)"""
    cutout: Probability = part(0.0)
    """probability of a cutout, a box filled with the picture's mean, if the picture is augmented"""
    cutout_side: Probability = part(0.4)
    """widest cutout, share of the bins and of the frames"""
    width_shift: Probability = part(0.0)
    """probability of a shift in time that repeats the edge (navas), if the picture is augmented"""
    width_shift_frames: Probability = part(0.2)
    """widest width shift, share of the frames"""


with warnings.catch_warnings():
    # the metaclass of abstract classes has a method register, which nobody calls here
    warnings.filterwarnings("ignore", 'Field name "register"')

    class TrackSettings(Section):
        """Where the run is recorded."""

        uri: str | None = place(None)
        """MLflow server; local: the store in track.folder; none: MLFLOW_TRACKING_URI, else local"""
        folder: str = place("mlruns")
        """folder of the local store, and of checkpoints during the training"""
        experiment: str = place("gtzan_lightning")
        """MLflow experiment"""
        name: str | None = place(None)
        """name of the run (none: model, corpus, protocol and seed)"""
        log_model: bool = place(True)
        """log the model for mlflow.pyfunc.load_model (waveforms in, probabilities out)"""
        register: Annotated[str, Field(pattern=r"^[^/:'\"`]+$")] | None = place(None)
        """register the logged model under this name, as its next version (models:/NAME/1)"""
        also: Annotated[tuple[Logger, ...], BeforeValidator(lambda names: names or ())] = place(())
        """record in these too: tensorboard (in the run's folder), wandb (Weights & Biases)"""

        @model_validator(mode="after")
        def _registers_what_is_logged(self) -> "TrackSettings":
            if self.register and not self.log_model:
                raise ValueError("track.register needs the logged model: not track.log_model false")
            return self

        @model_validator(mode="after")
        def _no_secrets(self) -> "TrackSettings":
            uri = self.uri or ""
            if "@" in uri.partition("://")[2].partition("/")[0] or shown(uri) != uri:
                raise ValueError(
                    "track.uri is recorded with the run: put user and password into "
                    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the whole address "
                    "into MLFLOW_TRACKING_URI"
                )
            return self
