"""Published encoders in Hugging Face's layout, with a table for each family."""

from keras_qa.models.pretrained.checkpoint import PretrainedCheckpoint
from keras_qa.models.pretrained.checkpoint_writer import save_reader, transformer_of
from keras_qa.models.pretrained.hub import PACKAGES, PREFIX, find_checkpoint

__all__ = [
    "PACKAGES",
    "PREFIX",
    "PretrainedCheckpoint",
    "find_checkpoint",
    "save_reader",
    "transformer_of",
]
