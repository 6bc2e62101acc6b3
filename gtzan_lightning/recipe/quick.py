"""What ``--quick`` lays over a recipe: minutes for any corpus and network.

At most 240 steps, without what makes a network learn slowly.
"""

from gtzan_lightning.recipe.expected import Layer

QUICK: Layer = (
    "--quick",
    {
        "quick": True,
        "augment": {"audio": 0, "spectrogram": 0},
        "fit": {
            "max_epochs": 8, "limit_train_batches": 30, "batch_size": 16, "average_epochs": 0,
            "score_train": False,
        },
    },
)  # fmt: skip
