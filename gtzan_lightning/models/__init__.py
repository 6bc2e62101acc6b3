"""The zoo: the name of a model (``--model NAME``) and where its LightningModule is."""

from importlib import import_module

MODELS: dict[str, str] = {
    "efficientnet": "efficientnet:EfficientNetClassifier",
    "resnet": "resnet:ResNetClassifier",
    "inception": "transfer:InceptionClassifier",
    "vgg": "transfer:VggClassifier",
    "small_cnn": "small_cnn:SmallCnnClassifier",
    "cnn": "cnn:CnnClassifier",
    "cnn_lstm": "cnn:CnnLstmClassifier",
    "simple_rnn": "recurrent:SimpleRnnClassifier",
    "bbnn": "bbnn:BbnnClassifier",
    "slice_cnn": "slice_cnn:SliceCnnClassifier",
    "baseline_cnn": "plain_cnns:BaselineCnnClassifier",
    "fcn_cnn": "plain_cnns:FcnCnnClassifier",
    "bigru": "recurrent:BiGruClassifier",
    "res_bigru": "resnet:ResBiGruClassifier",
    "crnn": "recurrent:CrnnClassifier",
}
CLASSICAL = ("knn", "svm", "logistic_regression", "random_forest")  # models/classical.py


def model_class(name: str) -> type:
    """The LightningModule of a model; only its own file is imported."""
    file, _, cls = MODELS[name].partition(":")
    return getattr(import_module(f"gtzan_lightning.models.{file}"), cls)
