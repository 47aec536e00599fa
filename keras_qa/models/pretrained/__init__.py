"""Published encoders in Hugging Face's layout, a table a family."""

from keras_qa.models.pretrained.checkpoint import Checkpoint
from keras_qa.models.pretrained.hub import PREFIX
from keras_qa.models.pretrained.places import PACKAGES, find_checkpoint
from keras_qa.models.pretrained.saving import save_reader, transformer_of

__all__ = [
    "PACKAGES",
    "PREFIX",
    "Checkpoint",
    "find_checkpoint",
    "save_reader",
    "transformer_of",
]
