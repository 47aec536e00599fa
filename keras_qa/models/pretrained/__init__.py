"""Published encoders in Hugging Face's layout, with a table for each family."""

from keras_qa.models.pretrained.checkpoint import PretrainedCheckpoint
from keras_qa.models.pretrained.checkpoint_writer import save_pretrained
from keras_qa.models.pretrained.hub import PACKAGES, PREFIX, find_checkpoint, open_backbone

__all__ = [
    "PACKAGES",
    "PREFIX",
    "PretrainedCheckpoint",
    "find_checkpoint",
    "open_backbone",
    "save_pretrained",
]
