"""Classifiers on published encoders: of pairs of texts, of their tokens, and of choices."""

from __future__ import annotations

import os

import keras

from keras_qa._arguments import MAX_INT, check_choice, to_integer
from keras_qa.engine.compiling import Optimizer
from keras_qa.engine.qa_model import QAModel
from keras_qa.layers import TransformerEncoder
from keras_qa.layers.base_layer import DType
from keras_qa.layers.classification_head import ClassificationHead
from keras_qa.models.pretrained.checkpoint import PretrainedCheckpoint
from keras_qa.models.pretrained.hub import open_backbone
from keras_qa.models.reader import Tokenizer, enable_lora, open_tokenizer
from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor
from keras_qa.preprocessing.preprocessor import CHOICE, SPANS, TASKS, TOKENS
from keras_qa.preprocessing.token_preprocessor import IGNORED
from keras_qa.text import SubwordTokenizer, Windower

CLASSIFICATIONS = tuple(task for task in TASKS if task != SPANS)


def text_classifier(
    backbone: PretrainedCheckpoint | str | os.PathLike[str],
    task: str | None = None,
    num_labels: int | None = None,
    tokenizer: Tokenizer | None = None,
    lora_rank: int | None = None,
    dtype: DType = None,
    optimizer: Optimizer | None = None,
    name: str = "text_classifier",
) -> QAModel:
    """A classifier on a published encoder, with the head of its family. Compiled.

    It computes what `AutoModelForSequenceClassification`, `AutoModelForTokenClassification` and
    `AutoModelForMultipleChoice` of `transformers` compute. Its `save_pretrained` writes a folder
    that these classes read.

    Args:
        backbone: A folder in Hugging Face's layout or `hf://owner/name`, optionally with
            `@revision` (extra `hf`), of one of the families of `span_reader`; or `"minilm"`. A head
            for the same task is loaded with the encoder; otherwise the head starts untrained.
        task: The task, by its name in `transformers`. `None` for that of the checkpoint's head.

            - `"sequence_classification"`: labels of a text or a pair of texts.
            - `"token_classification"`: labels of each position. With two labels, outside and inside
              an answer, `QuestionAnswerer` trains it to mark spans of texts.
            - `"multiple_choice"`: one logit. Each choice is a row; the softmax over the rows of a
              question gives probabilities.
        num_labels: Number of labels. `None` for that of the checkpoint's head, or else 2. Multiple
            choice has 1.
        tokenizer: The backbone's tokenizer, as in `span_reader`.
        lora_rank: Train matrices of this rank instead of the weights of the encoder. The head is
            trained in full. `None` to train all weights.
        dtype: Dtype policy of every layer, such as `"mixed_bfloat16"`.
        optimizer: Optimizer to compile with, as in `span_reader`.
        name: Name of the model.

    Returns:
        A compiled `QAModel` with the inputs `token_ids`, `segment_ids` if the encoder uses them,
        and `padding_mask`, `(batch, time)` int32, and the output `logits`, float32: `(batch,
        num_labels)`, or `(batch, time, num_labels)` for tokens. The loss is a softmax cross-entropy
        over labels, which ignores the token label -100; with one label a binary cross-entropy. With
        a tokenizer it has a preprocessor, which turns pairs of texts into these inputs.

    Raises:
        ImportError: If a library that reads checkpoints is not installed.
        ValueError: If an argument is out of its range, or the checkpoint cannot be loaded, is not
            supported, or has a head for another task or with another number of labels.

    Examples:
        >>> from keras_qa.models import text_classifier
        >>> model = text_classifier("minilm", task="sequence_classification", num_labels=3)
        >>> feed = model.preprocessor.make_feed(model, ["Is it red?"], ["It is a red ferry."])
        >>> model.predict(feed, verbose=0).shape
        (1, 3)
    """
    checkpoint = open_backbone(backbone)
    task = checkpoint.task if task is None else task
    check_choice("task", task, CLASSIFICATIONS)
    assert task is not None
    if num_labels is None:
        num_labels = checkpoint.num_labels if checkpoint.has_head(task) else 2
        num_labels = 1 if task == CHOICE else num_labels
    num_labels = to_integer("num_labels", num_labels, most=1 if task == CHOICE else MAX_INT)
    encoder, head, tokenizer = open_classifier(
        checkpoint, task, num_labels, tokenizer, lora_rank, dtype
    )
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in encoder.input_names]
    mask = inputs[encoder.input_names.index("padding_mask")]
    logits = head(encoder(inputs), mask=mask)
    model = QAModel(inputs, logits, name=name)
    if tokenizer is not None:
        longest = min(encoder.max_length, checkpoint.max_length or encoder.max_length)
        model.preprocessor = PairPreprocessor(Windower(tokenizer, longest))
    loss: keras.losses.Loss = keras.losses.BinaryCrossentropy(from_logits=True)
    if num_labels > 1:
        ignored = IGNORED if task == TOKENS else None
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=ignored)
    model.compile(optimizer or keras.optimizers.AdamW(5e-5, weight_decay=0.01), loss)
    return model


def open_classifier(
    checkpoint: PretrainedCheckpoint,
    task: str,
    num_labels: int,
    tokenizer: Tokenizer | None,
    lora_rank: int | None,
    dtype: DType,
) -> tuple[TransformerEncoder, ClassificationHead, SubwordTokenizer | None]:
    """Returns the encoder, the head and the tokenizer of a classifier, with their weights."""
    encoder, head = checkpoint.classifier(task, num_labels, dtype)
    tokenizer = open_tokenizer(tokenizer, checkpoint, encoder)
    checkpoint.load(encoder, head, task)
    if lora_rank is not None:
        enable_lora(encoder, lora_rank)
    return encoder, head, tokenizer
