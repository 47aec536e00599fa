"""Finds checkpoints in this package, in folders and on the Hugging Face Hub."""

from __future__ import annotations

import functools
import os
import pathlib
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from types import ModuleType

from keras_qa._arguments import first_line, import_extra
from keras_qa.data.presets import ENCODERS, PREFIX
from keras_qa.models.pretrained.checkpoint import CONFIG, PretrainedCheckpoint, is_checkpoint
from keras_qa.models.pretrained.checkpoint_tensors import INDEX, PICKLED, WHOLE, shards
from keras_qa.text.tokenizer_files import FILES

# Seconds for the first answer of the Hub.
_TIMEOUT = 10.0


def find_checkpoint(name: str) -> PretrainedCheckpoint | None:
    """Opens a checkpoint: a folder, `hf://owner/name` or a key of `ENCODERS`.

    Returns `None` if the folder is not in Hugging Face's layout.
    """
    if name.startswith(PREFIX):
        folder = _fetch(name)
    elif name in ENCODERS and not os.path.exists(name):
        folder = ENCODERS[name]
    else:
        return PretrainedCheckpoint(name) if is_checkpoint(name) else None
    return PretrainedCheckpoint(folder, name) if is_checkpoint(folder) else None


def open_backbone(name: PretrainedCheckpoint | str | os.PathLike[str]) -> PretrainedCheckpoint:
    """Opens a checkpoint as `find_checkpoint` does. Raises if there is none."""
    if isinstance(name, PretrainedCheckpoint):
        return name
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(
            "`backbone` must be the name or the folder of an encoder, or of a span reader a "
            f"`keras_hub.models.Backbone`. Received: {name!r:.80} (of type {type(name).__name__})."
        )
    name = os.fspath(name)
    checkpoint = find_checkpoint(name)
    if checkpoint is None:
        raise ValueError(
            "`backbone` must be a folder in Hugging Face's layout, with a `config.json` that has "
            f"a `model_type`, or `hf://owner/name`. Received: backbone={name[-100:]!r}."
        )
    return checkpoint


def _fetch(name: str) -> pathlib.Path:
    """Downloads the checkpoint `hf://owner/name`, or finds it in the cache, and returns its folder.

    `huggingface_hub` reads `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE` and `HF_ENDPOINT`.
    """
    hub = import_extra("`hf://…`", "huggingface_hub", "hf")
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    name = name[:80]
    from huggingface_hub import constants

    is_offline = constants.HF_HUB_OFFLINE or not _is_reachable(constants.ENDPOINT)
    download = functools.partial(hub.hf_hub_download, repository, local_files_only=is_offline)
    try:
        config = download(CONFIG, revision=revision or None)
        # Use one commit for all files, even if others are pushed meanwhile.
        download = functools.partial(download, revision=pathlib.Path(config).parent.name)
        _weights(hub, download, is_offline)
        for file in FILES:
            _optional(hub, download, file, is_offline)
    except hub.errors.GatedRepoError:
        raise ValueError(
            f"`{name}` is a gated repository. Request access on its page, and set `HF_TOKEN`."
        ) from None
    except hub.errors.RepositoryNotFoundError:
        raise ValueError(
            f"There is no checkpoint `{name}`, or it is private. Check the name, or set `HF_TOKEN`."
        ) from None
    except hub.errors.RevisionNotFoundError:
        raise ValueError(f"`{repository}` has no revision {revision!r}.") from None
    except hub.errors.LocalEntryNotFoundError as error:
        raise ValueError(
            f"`{name}` cannot be downloaded: the Hub cannot be reached or `HF_HUB_OFFLINE` is set, "
            f"and it is not in the cache ({first_line(error)})."
        ) from None
    except hub.errors.EntryNotFoundError:
        raise ValueError(
            f"`{name}` has no `{CONFIG}`, or no weights: expected `{WHOLE}`."
        ) from None
    except hub.errors.HFValidationError as error:
        raise ValueError(f"`{name}` is not the name of a checkpoint: {first_line(error)}") from None
    except (hub.errors.HfHubHTTPError, OSError) as error:
        raise ValueError(f"`{name}` cannot be downloaded: {first_line(error)}") from None
    return pathlib.Path(config).parent


def _is_reachable(address: str) -> bool:
    """Whether a server can be connected to. `huggingface_hub` tries it for half a minute."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=_TIMEOUT)
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return not isinstance(error.reason, (socket.gaierror, ConnectionError, TimeoutError))
    return True


def _weights(hub: ModuleType, download: Callable[[str], str], is_offline: bool) -> None:
    if _optional(hub, download, WHOLE, is_offline):
        return
    index = _optional(hub, download, INDEX, is_offline)
    if index is None:
        download(PICKLED)
        return
    for shard in shards(index):
        download(shard)


def _optional(
    hub: ModuleType, download: Callable[[str], str], file: str, is_offline: bool
) -> pathlib.Path | None:
    try:
        return pathlib.Path(download(file))
    except hub.errors.LocalEntryNotFoundError:
        # Offline, a file that is not in the cache may not exist at all.
        if is_offline:
            return None
        raise
    except hub.errors.EntryNotFoundError:
        return None
