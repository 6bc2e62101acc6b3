"""Every knob of the package: declared here once, with its type, its bounds and one line of help.

Nothing heavy is imported, so the command line can be parsed in a fraction of a second. The line
under a field is its ``--help`` text; a recipe (YAML) has the same sections and names as the flags.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gtzan_lightning.recipe.section import (
    Count,
    Names,
    Positive,
    Probability,
    Section,
    Share,
    draw,
    part,
    place,
)

Features = Literal["mel", "spectrogram", "stft", "mfcc", "chroma", "raw"]
Protocol = Literal["stratified", "kfold", "filtered", "artist", "first20", "clips"]
PROTOCOLS: dict[Protocol, str] = {
    "stratified": "random songs, the same shares of every genre",
    "kfold": "random folds of songs; one fold is tested",
    "filtered": "GTZAN's published lists: no artist is on two sides, no repeated or distorted song",
    "artist": "folds of GTZAN's artists: no artist is on two sides",
    "first20": "songs 00 to 19 of each of GTZAN's genres are tested, as bar_tov did",
    "clips": "LEAKY: clips of one song are on both sides, to measure what that is worth",
}


class DataSettings(Section):
    """Songs, protocol, clips and the picture that is made of a clip."""

    corpus: Literal["auto", "gtzan", "folder", "pictures", "synthetic"] = place("auto")
    """auto: GTZAN where --data.root holds it, else synthetic; gtzan: insist; folder: any
    ROOT/GENRE/*.audio; pictures: a packed corpus; synthetic: songs made by the package"""
    root: str = place("data/gtzan")
    """folder of the songs, or of the packed corpus with --data.corpus pictures"""
    packed: str = place("data/packed")
    """folder that keeps the decoded songs, so that they are decoded once"""
    pack: Literal["waveforms", "pictures"] = part("waveforms")
    """what is kept: waveforms, or their pictures (no feature is computed again while training)"""
    sample_rate: Annotated[int, Field(ge=4000, le=192000)] = part(22050)
    """samples a second after resampling"""
    min_seconds: Positive = part(1.0)
    """a song shorter than this is left out as too short"""
    synthetic_songs: Annotated[int, Field(ge=3, le=1000)] = place(14)
    """songs a genre of the synthetic corpus"""
    synthetic_seconds: Positive = place(12.0)
    """length of a synthetic song, seconds"""
    synthetic_seed: Annotated[int, Field(ge=0)] = place(0)
    """seed of the synthetic corpus"""

    split: Protocol = part("stratified")
    """protocol that cuts the songs into train, valid and test; clips is the leaky one"""
    fractions: tuple[Probability, ...] = draw((0.7, 0.2, 0.1))
    """stratified and clips: train valid test, or train test (valid is then cut from train);
    exact in each genre of GTZAN, on average in a folder of your own"""
    valid_fraction: Annotated[float, Field(gt=0, lt=1)] = draw(0.15)
    """share of the training songs that becomes valid where a protocol states no valid part"""
    folds: Annotated[int, Field(ge=2)] = draw(5)
    """kfold and artist: number of folds"""
    fold: Annotated[int, Field(ge=0)] = place(0)
    """kfold and artist: the fold that is the test part"""
    split_seed: Annotated[int, Field(ge=0)] = draw(0)
    """stratified, kfold, artist and clips: seed of the draw"""

    clip_seconds: Positive = part(3.0)
    """length of a clip, seconds"""
    clips_per_song: Count = part(5)
    """training clips drawn from every song in an epoch, at random starts"""
    fixed_windows: bool = part(False)
    """draw the training clips' starts once, as zhang did, instead of anew in every epoch"""
    leave_out: Names = part(())
    """genres to leave out, as bar_tov did with country"""
    features: Features = part("mel")
    """kind of picture, as librosa makes it: mel (Slaney scale and norm), spectrogram (all Fourier
    bins), stft (the same, linear), mfcc, chroma; raw: the waveform, for the classical baselines"""
    bins: Annotated[int, Field(ge=8, le=512)] = part(128)
    """mel bins of a mel picture, and under an mfcc picture"""
    coefficients: Annotated[int, Field(ge=2, le=128)] = part(20)
    """cepstral coefficients of an mfcc picture"""
    scale: Literal["decibels", "linear"] | None = part(None)
    """unit of a picture (none: decibels, for stft and chroma linear)"""
    picture_size: tuple[Count, Count] | None = part(None)
    """resize every picture to so many bins and frames, as the sources did (none: as it is)"""
    colour: Literal["viridis", "magma", "cool"] | None = part(None)
    """draw the picture in three channels with this colour map, as four of the sources did"""
    n_fft: Annotated[int, Field(ge=64, le=16384)] = part(2048)
    """length of the Fourier transform, samples"""
    window: Annotated[int, Field(ge=64, le=16384)] | None = part(None)
    """length of the Hann window, samples (none: n_fft)"""
    hop_length: Annotated[int, Field(ge=16, le=8192)] = part(512)
    """samples from one frame to the next"""
    f_min: Annotated[float, Field(ge=0)] = part(0.0)
    """lowest frequency of the mel bins, hertz"""
    f_max: Positive | None = part(None)
    """highest frequency of the mel bins, hertz (none: half the sample rate)"""
    workers: Annotated[int, Field(ge=0)] = place(0)
    """processes that load batches; 0 loads in the training process, enough for a packed corpus"""
    resident: bool = place(False)
    """keep the packed corpus in the GPU's memory and cut clips there, for networks that a processor
    can't feed; the loader's own shift and noise (augment.audio) must be off"""

    @model_validator(mode="after")
    def _no_contradiction(self) -> "DataSettings":
        if len(self.fractions) not in (2, 3) or abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(
                f"data.fractions must be two or three numbers that sum to 1, not {self.fractions}"
            )
        if self.features == "mfcc" and (self.scale == "linear" or self.coefficients > self.bins):
            raise ValueError("data.features mfcc takes decibels, and at most data.bins of them")
        if self.features == "raw" and (self.scale or self.picture_size or self.colour):
            raise ValueError("data.features raw takes no data.scale, picture_size or colour")
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
    """Training only. The defaults are the probabilities of motyka; a probability of 0 is off."""

    audio: Probability = part(0.5)
    """probability that a clip's waveform is augmented at all"""
    shift: Probability = part(0.3)
    """of those: probability of a circular time shift by up to half the clip"""
    noise: Probability = part(0.35)
    """of those: probability of Gaussian noise (amplitude 0.001 to 0.015)"""
    spectrogram: Probability = part(0.8)
    """probability that a clip's picture is augmented at all"""
    mixup: Probability = part(0.65)
    """of those: probability of mixup with another clip of the batch (targets are mixed too)"""
    mixup_alpha: Positive = part(0.5)
    """mixup weight ~ Beta(alpha, alpha)"""
    cutmix: Probability = part(0.0)
    """of those: probability of cutmix with another clip of the batch (targets are mixed too)"""
    cutmix_alpha: Positive = part(0.5)
    """cutmix area ~ Beta(alpha, alpha)"""
    mask: Probability = part(0.65)
    """of those: probability of one frequency and one time mask"""
    mask_bins: Probability = part(0.2)
    """widest frequency mask, share of the bins"""
    mask_frames: Probability = part(0.3)
    """widest time mask, share of the frames"""
    warp: Probability = part(0.0)
    """of those: probability of another tempo and register"""
    warp_tempo: Share = part(0.15)
    """largest change of tempo, share"""
    warp_bins: Share = part(0.04)
    """largest shift of the register, share of the bins"""
    equaliser: Probability = part(0.0)
    """of those: probability of a random smooth curve over the bins, as other masterings have"""
    equaliser_gain: Positive = part(0.3)
    """its spread, in units of the picture's own spread (about 15 dB)"""
    cutout: Probability = part(0.0)
    """of those: probability of a cutout, a box of the picture's mean"""
    cutout_side: Probability = part(0.4)
    """widest cutout, share of the bins and of the frames"""
    width_shift: Probability = part(0.0)
    """of those: probability of a width shift, whose gap repeats the edge (navas)"""
    width_shift_frames: Probability = part(0.2)
    """widest width shift, share of the frames"""


class TrainerSettings(Section):
    """Handed to Lightning's Trainer as they are."""

    max_epochs: Count = part(30)
    """epochs to train; an epoch draws data.clips_per_song clips from every training song"""
    max_time: Annotated[str, Field(pattern=r"^\d+:\d\d:\d\d:\d\d$")] | None = part(None)
    """stop after this time, DD:HH:MM:SS (none: no limit)"""
    accelerator: Literal["auto", "cpu", "gpu", "mps", "tpu"] = place("auto")
    """hardware to train on"""
    devices: Annotated[str, Field(pattern=r"^(auto|-1|\d+(,\d+)*)$")] = part("auto")
    """number of devices, or a list such as 0,1"""
    num_nodes: Count = part(1)
    """machines of a cluster"""
    strategy: str = place("auto")
    """Lightning strategy: auto, ddp, fsdp ..."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true"] = part(
        "32-true"
    )
    """number format of the training"""
    deterministic: Literal["true", "warn", "false"] = place("warn")
    """deterministic algorithms: true fails where there is none, warn only says so"""
    gradient_clip_val: Positive | None = part(5.0)
    """largest norm of the gradient (none: no limit)"""
    accumulate_grad_batches: Count = part(1)
    """batches whose gradients are summed before a step"""
    check_val_every_n_epoch: Count = part(1)
    """epochs between two validations"""
    log_every_n_steps: Count = place(50)
    """steps between two records of the training loss"""
    limit_train_batches: Count | None = part(None)
    """train on this many batches an epoch only, to try things out (none: all)"""
    profiler: Literal["simple", "advanced", "pytorch"] | None = place(None)
    """time the training's parts (simple), functions (advanced) or kernels (pytorch): the table is
    the run's artifact fit-profile.txt"""


class FitSettings(TrainerSettings):
    """Optimisation, and what Lightning's Trainer takes."""

    batch_size: Annotated[int, Field(ge=2)] = part(32)
    """clips in a batch (in each process)"""
    optimizer: Literal["adamw", "adam", "rmsprop"] = part("adamw")
    """optimiser; adam and rmsprop have no weight decay, rmsprop is Keras' (rho 0.9)"""
    learning_rate: Positive = part(1e-3)
    """largest learning rate"""
    weight_decay: Annotated[float, Field(ge=0)] = part(0.05)
    """weight decay of adamw; biases and norms are not decayed"""
    schedule: Literal["one_cycle", "cosine", "constant", "plateau"] = part("one_cycle")
    """learning rate over the steps; plateau: halved after three epochs without a lower training
    loss"""
    warm_up: Annotated[float, Field(gt=0, lt=1)] = part(0.2)
    """one_cycle: share of the steps that raise the learning rate"""
    label_smoothing: Share = part(0.1)
    """share of the target that is spread over all genres"""
    class_weights: bool = part(False)
    """weigh the loss by the inverse number of training songs of a genre"""
    test: bool = part(True)
    """measure the test part at the end; a sweep leaves it closed"""
    average_epochs: Annotated[float, Field(ge=0)] = part(0.0)
    """validate and keep a moving average of the weights that looks back this many epochs (0: the
    last weights)"""
    matmul_precision: Literal["highest", "high", "medium"] = part("highest")
    """float32 matrix products on a GPU: high takes TensorFloat-32, medium bfloat16; both are faster
    and coarser (convolutions take TensorFloat-32 anyway)"""
    compile: bool = part(False)
    """compile the network with torch.compile: a minute or more before the first step, other draws
    of dropout; made for GPUs (two cores were no faster); needs a C++ compiler"""
    monitor: Literal["valid/song_accuracy", "valid/song_loss"] = part("valid/song_accuracy")
    """what the best checkpoint is best at"""
    patience: Annotated[int, Field(ge=0)] = part(0)
    """stop after this many validations without a better one; 0 never stops early, as a schedule
    that ends at a low learning rate needs its last epochs"""

    @model_validator(mode="after")
    def _validates_at_least_once(self) -> "FitSettings":
        if self.check_val_every_n_epoch > self.max_epochs:
            raise ValueError(
                f"fit.check_val_every_n_epoch {self.check_val_every_n_epoch} is above "
                f"fit.max_epochs {self.max_epochs}: the best epoch could not be chosen"
            )
        return self


class TrackSettings(Section):
    """Where the run is recorded."""

    uri: str | None = place(None)
    """MLflow tracking server; local: the store in track.folder; none: MLFLOW_TRACKING_URI if set,
    else local"""
    folder: str = place("mlruns")
    """folder of the local store and of checkpoints while they are made"""
    experiment: str = place("gtzan_lightning")
    """MLflow experiment"""
    name: str | None = place(None)
    """name of the run (none: made of model, corpus, protocol and seed)"""
    log_model: bool = place(True)
    """log a model that mlflow.pyfunc.load_model loads (waveforms in, probabilities out)"""

    @model_validator(mode="after")
    def _no_secrets(self) -> "TrackSettings":
        if self.uri and "@" in self.uri.partition("://")[2].partition("/")[0]:
            raise ValueError(
                "track.uri is recorded with the run: put user and password into "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the whole address into "
                "MLFLOW_TRACKING_URI"
            )
        return self
