"""The zoo: the name of a model (``--model NAME``) and where its LightningModule is."""

from importlib import import_module

MODELS: dict[str, str] = {
    "efficientnet": "efficientnet:EfficientNetClassifier",
    "resnet": "resnet:ResNetClassifier",
    "small_cnn": "small_cnn:SmallCnnClassifier",
}


def model_class(name: str) -> type:
    """The LightningModule of a model; only its own file is imported."""
    file, _, cls = MODELS[name].partition(":")
    return getattr(import_module(f"gtzan_lightning.models.{file}"), cls)
