"""Published encoders in Hugging Face's layout, a table a family."""

from keras_qa.models.pretrained.checkpoint import Checkpoint, is_checkpoint
from keras_qa.models.pretrained.hub import PREFIX, fetch, find_checkpoint
from keras_qa.models.pretrained.saving import save_reader, transformer_of

__all__ = [
    "PREFIX",
    "Checkpoint",
    "fetch",
    "find_checkpoint",
    "is_checkpoint",
    "save_reader",
    "transformer_of",
]
