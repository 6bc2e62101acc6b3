"""Clips as the numbers of a network that has listened before."""

from gtzan_lightning.data.module import GenreData
from gtzan_lightning.models import build_network, check_rate
from gtzan_lightning.models.kept import Kept, weights_digest
from gtzan_lightning.models.layers import EMBEDDINGS, Trunked
from gtzan_lightning.recipe.model_settings import embedding_settings
from gtzan_lightning.recipe.section import Shape
from gtzan_lightning.recipe.settings import DataSettings


def embeddings(data: GenreData) -> Kept:
    """What ``data.embedding`` makes of the clips of ``data``.

    Raises:
        UserError: its weights can't be had.
    """
    network = embedding_network(data.recipe.data, data.shape)
    check_rate(network, data.spec)
    weights = weights_digest(network, network.new_layer)
    key = f"embedding {EMBEDDINGS} {weights} {data.spec} {data.corpus.sounds} {data.clip_steps}"
    return Kept(data.recipe.data.packed, key, lambda clips: network.embed(data.features(clips)))


def embedding_network(settings: DataSettings, shape: Shape) -> Trunked:
    """The network of ``data.embedding``, as its authors left it.

    Raises:
        UserError: its weights can't be had.
    """
    network = build_network(embedding_settings(settings), 2, shape).eval()
    assert isinstance(network, Trunked)
    return network
