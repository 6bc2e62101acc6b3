"""Checkpoints on the Hugging Face hub: ``hf://OWNER/NAME``."""

import re
import tempfile
import textwrap
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError, RepositoryNotFoundError

from gtzan_lightning.errors import UserError
from gtzan_lightning.inference.share import write_shareable
from gtzan_lightning.models.checkpoint import Checkpoint
from gtzan_lightning.recipe.recipes import dump
from gtzan_lightning.terminal import shown

SCHEME = "hf://"
FILE = "gtzan_lightning.ckpt"
CARD = """---
library_name: gtzan_lightning
pipeline_tag: audio-classification
tags: [music, music-genre-classification]
---
# {title}: genres of music

Made with gtzan_lightning.

```sh
gtzan tag FOLDER --run {where} --out genres.csv
```

| | |
|---|---|
| genres | {genres} |
| trained on | {corpus} ({fingerprint}), protocol {protocol} |
| listened before to | {heard} |
| digest | {digest} |

```yaml
{recipe}```
"""


def download(where: str) -> Path:
    """The checkpoint of ``hf://OWNER/NAME``, kept in the hub's own cache.

    Raises:
        UserError: it is not there, or the hub can't be reached.
    """
    name = _name(where)
    try:
        # its download would try for half a minute before it says that nobody answers
        huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(name, FILE))
        return Path(huggingface_hub.hf_hub_download(name, FILE))
    except (RepositoryNotFoundError, RemoteEntryNotFoundError):
        raise UserError(f"{where}: the hub has no such checkpoint: is its name right?") from None
    except Exception as error:  # of requests or httpx, whichever the hub's client uses
        kept = huggingface_hub.try_to_load_from_cache(name, FILE)
        if isinstance(kept, str):
            return Path(kept)
        raise UserError(f"{where} can't be loaded ({_reason(error)}): go online once") from None


def upload(checkpoint: Checkpoint, where: str) -> str:
    """Push a checkpoint in half precision, with a card; the repository is made if it is new.

    Returns:
        Where it is now.

    Raises:
        UserError: the hub refuses it, or can't be reached.
    """
    client, name = huggingface_hub.HfApi(), _name(where)
    with tempfile.TemporaryDirectory() as folder:
        write_shareable(checkpoint, Path(folder) / FILE)
        card = _card(checkpoint, where)
        (Path(folder) / "README.md").write_text(card)
        try:
            client.create_repo(name, exist_ok=True)
            return str(client.upload_folder(repo_id=name, folder_path=folder))
        except (OSError, ValueError, HfHubHTTPError) as error:
            raise UserError(
                f"{where} can't be written ({_reason(error)}): log in with hf auth login, or set "
                "HF_TOKEN"
            ) from None


def _card(checkpoint: Checkpoint, where: str) -> str:
    contents = checkpoint.contents
    return CARD.format(
        title=contents.recipe.title,
        where=where,
        genres=", ".join(contents.genres),
        corpus=contents.corpus,
        fingerprint=contents.songs_fingerprint,
        protocol=contents.protocol,
        heard=getattr(contents.recipe.model, "heard", "") or "nothing",
        digest=checkpoint.digest,
        recipe=dump(contents.recipe),
    )


def _name(where: str) -> str:
    name = where.removeprefix(SCHEME)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(f"{where}: give hf://OWNER/NAME")
    return name


def _reason(error: Exception) -> str:
    return textwrap.shorten(shown(str(error)), 160, placeholder=" ...")
