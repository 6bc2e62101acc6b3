"""The settings of the training: optimisation, and what Lightning's Trainer takes."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gtzan_lightning.recipe.section import Count, Factor, Section, Share, joined, part, place


def _of_a_trunk(words: str) -> str:
    if not re.fullmatch(r"all|frozen|last [1-9]\d{0,3}", words):
        raise ValueError("should be all, frozen, or the last stages, such as last 2")
    return words


Trunk = Annotated[str, BeforeValidator(joined), AfterValidator(_of_a_trunk)]
Patience = Annotated[int, Field(ge=0, le=10**6)]
LAST = "last"  # of fit.monitor: the last epoch is kept
Precision = Literal["32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true"]


class TrainerSettings(Section):
    """Passed to Lightning's Trainer unchanged."""

    max_epochs: Count = part(30)
    """epochs to train; an epoch draws data.clips_per_song clips from every training song"""
    max_time: Annotated[str, Field(pattern=r"^\d+:\d\d:\d\d:\d\d$")] | None = part(None)
    """longest training time, DD:HH:MM:SS (none: no limit)"""
    accelerator: Literal["auto", "cpu", "gpu", "mps", "tpu"] = place("auto")
    """hardware to train on"""
    devices: Annotated[str, Field(pattern=r"^(auto|-1|\d+(,\d+)*)$")] = part("auto")
    """number of devices, or a list such as 0,1"""
    num_nodes: Annotated[int, Field(ge=1, le=10**4)] = part(1)
    """number of machines"""
    strategy: str = place("auto")
    """Lightning strategy: auto, ddp, fsdp ..."""
    precision: Precision = place("32-true")
    """number format of the training"""
    deterministic: Literal["true", "warn", "false"] = place("warn")
    """deterministic algorithms; where there is none, true fails and warn warns"""
    gradient_clip_val: Factor | None = part(5.0)
    """largest norm of the gradient (none: no limit)"""
    accumulate_grad_batches: Count = part(1)
    """batches whose gradients are summed before a step"""
    check_val_every_n_epoch: Count = part(1)
    """epochs from one validation to the next"""
    log_every_n_steps: Count = place(50)
    """steps from one record of the training loss to the next"""
    limit_train_batches: Count | None = part(None)
    """batches per epoch, to try things out (none: all)"""
    profiler: Literal["simple", "advanced", "pytorch"] | None = place(None)
    """profile parts (simple), functions (advanced) or kernels (pytorch) into fit-profile.txt"""


class FitSettings(TrainerSettings):
    """Optimisation, and the settings of Lightning's Trainer."""

    batch_size: Annotated[int, Field(ge=2, le=2**16)] = part(32)
    """clips per batch and process"""
    optimizer: Literal["adamw", "adam", "rmsprop"] = part("adamw")
    """optimiser; adam and rmsprop without weight decay, rmsprop as in Keras (rho 0.9)"""
    learning_rate: Factor = part(1e-3)
    """peak learning rate"""
    trunk: Trunk = part("all")
    """what is trained besides the head of a network that started from weights: all of its trunk;
    frozen: nothing; last N: its last N stages; frozen batch norms keep their statistics"""
    trunk_rate: Annotated[float, Field(gt=0, le=1)] = part(1.0)
    """factor of the learning rate in the trunk"""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = part(1.0)
    """factor of the learning rate from each stage of the trunk to the one before"""
    weight_decay: Annotated[float, Field(ge=0, le=1e3)] = part(0.05)
    """weight decay of adamw, not applied to biases and norms"""
    schedule: Literal["one_cycle", "cosine", "constant", "plateau"] = part("one_cycle")
    """course of the learning rate; plateau: smaller after epochs without a lower training loss"""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = part(0.5)
    """plateau: factor of the learning rate"""
    plateau_patience: Patience = part(3)
    """plateau: epochs without a lower training loss before that"""
    warm_up: Annotated[float, Field(gt=0, lt=1)] = part(0.2)
    """one_cycle: share of the steps in which the learning rate rises"""
    label_smoothing: Share = part(0.1)
    """share of the target spread over all genres"""
    class_weights: bool = part(False)
    """weight the loss of each genre by the inverse of its number of training songs"""
    open_test: bool = place(False)
    """measure on the test part at the end (--open-test), once everything is chosen on the
    validation part; each opening is recorded and counted in the tables"""
    score_train: bool = place(True)
    """score the training part too, once, at the end; a sweep never does"""
    resumable: bool = place(True)
    """keep last.ckpt, with the optimiser's state, from which an interrupted run is resumed; trials
    of a sweep, which begin anew, never do"""
    average_epochs: Annotated[float, Field(ge=0, le=1e6)] = part(0.0)
    """epochs over which weights are averaged for validation and checkpoints (0: no average)"""
    matmul_precision: Literal["highest", "high", "medium"] = part("highest")
    """float32 matrix products on a GPU: high uses TensorFloat-32, medium bfloat16, both faster and
    less exact (convolutions use TensorFloat-32 anyway)"""
    compile: bool = part(False)
    """compile the network with torch.compile, for GPUs (no faster on two cores); takes a minute or
    more before the first step, changes the draws of dropout, needs a C++ compiler"""
    monitor: Literal["valid/song_accuracy", "valid/song_loss", "valid/loss", "last"] = part(
        "valid/song_accuracy"
    )
    """score of the epoch that is kept (valid/loss is that of single clips); last: the last epoch is
    kept, whatever its score, so that validation songs choose nothing"""
    patience: Patience = part(0)
    """stop after this many validations without improvement; 0: never, as a schedule that ends at a
    low learning rate needs its last epochs"""

    min_delta: Annotated[float, Field(ge=-1e3, le=1e3)] = part(0.0)
    """with patience: how much better a validation must be to count; below 0 worse ones count too,
    and replace the best checkpoint, as in zhang's code"""

    @model_validator(mode="after")
    def _validates_at_least_once(self) -> "FitSettings":
        if self.check_val_every_n_epoch > self.max_epochs:
            raise ValueError(
                f"fit.check_val_every_n_epoch {self.check_val_every_n_epoch} is above "
                f"fit.max_epochs {self.max_epochs}: the best epoch could not be chosen"
            )
        return self

    @model_validator(mode="after")
    def _stops_by_a_score(self) -> "FitSettings":
        if self.patience and self.monitor == LAST:
            raise ValueError(
                "fit.patience stops by a score: give fit.monitor valid/song_accuracy, "
                "valid/song_loss or valid/loss"
            )
        return self
