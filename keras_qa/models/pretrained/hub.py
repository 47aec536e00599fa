"""Checkpoints from Hugging Face's Hub, fetched and kept by `huggingface_hub`."""

from __future__ import annotations

import pathlib
from types import ModuleType

from keras_qa.models.pretrained.checkpoint import CONFIG
from keras_qa.models.pretrained.checkpoint_tensors import INDEX, PICKLED, WHOLE, shards
from keras_qa.text.tokenizer_files import FILES

PREFIX = "hf://"


def fetch(name: str) -> pathlib.Path:
    """Fetches a checkpoint, or finds it where an earlier call has left it.

    Cache, token and offline mode are `huggingface_hub`'s own: `HF_HOME`, `HF_TOKEN`,
    `HF_HUB_OFFLINE`, `HF_ENDPOINT`.

    Args:
        name: `hf://owner/name`, or with a branch, tag or commit `hf://owner/name@revision`.

    Returns:
        The folder that holds it.

    Raises:
        ImportError: If `huggingface_hub` is missing.
        ValueError: If there is no such checkpoint, or it cannot be fetched.
    """
    hub = _hub()
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    try:
        config = hub.hf_hub_download(repository, CONFIG, revision=revision or None)
        # All files of one revision, whatever is pushed meanwhile.
        commit = pathlib.Path(config).parent.name
        _weights(hub, repository, commit)
        for file in FILES:
            _optional(hub, repository, file, commit)
    except hub.errors.GatedRepoError:
        raise ValueError(
            f"`{name}` is open only to those whom its owners let in. Ask for access on its page, "
            "and set `HF_TOKEN`."
        ) from None
    except hub.errors.RepositoryNotFoundError:
        raise ValueError(
            f"There is no checkpoint `{name}`, or it is private. Look at the name, or set "
            "`HF_TOKEN`."
        ) from None
    except hub.errors.RevisionNotFoundError:
        raise ValueError(f"`{repository}` has no revision {revision!r}.") from None
    except hub.errors.LocalEntryNotFoundError as error:
        raise ValueError(
            f"`{name}` cannot be fetched: the Hub cannot be reached, or `HF_HUB_OFFLINE` is set, "
            f"and it was not fetched before ({_line(error)})."
        ) from None
    except hub.errors.EntryNotFoundError:
        raise ValueError(
            f"`{name}` holds no `{CONFIG}`, or no weights: expected `{WHOLE}`."
        ) from None
    except hub.errors.HFValidationError as error:
        raise ValueError(f"`{name}` is no name of a checkpoint: {_line(error)}") from None
    except (hub.errors.HfHubHTTPError, OSError) as error:
        raise ValueError(f"`{name}` cannot be fetched: {_line(error)}") from None
    return pathlib.Path(config).parent


def _weights(hub: ModuleType, repository: str, commit: str) -> None:
    if _optional(hub, repository, WHOLE, commit):
        return
    index = _optional(hub, repository, INDEX, commit)
    if index is None:
        hub.hf_hub_download(repository, PICKLED, revision=commit)
        return
    for shard in shards(index):
        hub.hf_hub_download(repository, shard, revision=commit)


def _optional(hub: ModuleType, repository: str, file: str, commit: str) -> pathlib.Path | None:
    try:
        return pathlib.Path(hub.hf_hub_download(repository, file, revision=commit))
    except hub.errors.LocalEntryNotFoundError:
        # Offline it is not known whether there is such a file: what was fetched is there.
        if hub.constants.HF_HUB_OFFLINE:
            return None
        raise
    except hub.errors.EntryNotFoundError:
        return None


def _hub() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"`hf://…` needs `huggingface_hub`, which cannot be imported ({error}). "
            'Install it: `pip install "keras-qa[hf]"`.'
        ) from error
    return huggingface_hub


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
