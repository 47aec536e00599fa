"""A small reader of spans learns from the outputs of a larger one."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_fraction, check_number
from keras_qa._numbers import MASKED
from keras_qa._terminal import Bar
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.building import change_training
from keras_qa.answering.opening import open_model
from keras_qa.data.files import replace_atomically
from keras_qa.engine.qa_model import QAModel
from keras_qa.example import Example, to_examples
from keras_qa.layers.kernels.tensor_types import Tensor
from keras_qa.losses.span_losses import DistillationLoss
from keras_qa.models.reader import SpanReader
from keras_qa.training.checkpoints import TrainingState
from keras_qa.training.recipe import Recipe, recipe_to_continue
from keras_qa.training.runs import (
    check_out,
    checkpoint_path,
    save_result,
    unfinished,
    validation_score,
)

# Number of questions whose outputs of the teacher are computed, and kept in a file, at once.
CHUNK = 256

# The logits of the start and of the end, `(windows, positions)` each.
Logits = dict[str, npt.NDArray[np.float16]]


class _Student(SpanReader):
    """A reader whose labels are a right position, or -1, and then the logits of a teacher."""

    def compute_metrics(
        self,
        x: object,
        y: Mapping[str, Tensor],
        y_pred: Mapping[str, Tensor],
        sample_weight: Any = None,
    ) -> dict[str, Any]:
        positions = {name: part[:, :1] for name, part in y.items()}
        return super().compute_metrics(x, positions, y_pred, sample_weight)


def distill(
    teacher: str | os.PathLike[str],
    student: str | os.PathLike[str],
    examples: Iterable[Example | Mapping[str, Any]] = (),
    texts: Iterable[Example | Mapping[str, Any]] = (),
    validation_data: Iterable[Example | Mapping[str, Any]] | None = None,
    temperature: float = 2.0,
    weight: float = 0.7,
    recipe: Recipe | Mapping[str, Any] | None = None,
    lora_rank: int | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    outputs: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = 2,
    lenient: bool = False,
) -> QuestionAnswerer:
    """Trains a reader of spans on the outputs of a larger one, with and without right answers.

    The loss of a start or an end is `weight * temperature**2` times the Kullback-Leibler divergence
    between the distributions of teacher and student, both softened by the temperature, and
    `1 - weight` times the cross-entropy of the right answer. If the teacher has another tokenizer,
    its logits are those of pieces that begin or end at the same characters.

    Args:
        teacher: The larger reader: what `keras_qa.load` takes.
        student: The reader to train, or an encoder such as `"minilm"`.
        examples: Examples with answers, or with none if the text does not answer the question.
        texts: Examples whose answers are unknown, and are ignored.
        validation_data: Examples with answers. The epoch with the best accuracy is kept, and the
            weights of the student before count as epoch 0. `None` keeps the last epoch.
        temperature: Divides the logits of both.
        weight: The share of the teacher in the loss of an example with an answer, from 0 to 1.
        recipe: A `Recipe`, or a mapping that replaces fields of the default.
        lora_rank: Train LoRA of this rank, as in `train`.
        seed: The seed.
        out: File to save the student to, ending in `.keras`, with a checkpoint beside it after each
            epoch. `None` for no file.
        outputs: A folder that keeps the outputs of the teacher, so that another run with the same
            teacher, texts and windows reads them. `None` to compute them anew.
        resume: Whether to resume from the checkpoint beside `out`.
        callbacks: Keras callbacks.
        verbose: As in `train`.
        lenient: Whether to leave out examples whose answer has no place in the text, as in `train`.

    Returns:
        The trained student.

    Raises:
        ValueError: If a model does not mark spans, the answer types differ, there is nothing to
            learn from, or an argument is out of its range.

    Reference:
        Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network",
        arXiv:1503.02531.
    """
    check_number("temperature", temperature, positive=True)
    check_fraction("weight", weight)
    check_out(out, resume)
    file = None
    if out is not None:
        file = checkpoint_path(out, "student", seed)
        # Before the teacher reads, which takes longest.
        if file.exists() and not resume:
            raise unfinished(file)
    large, small = _open_readers(teacher, student, lora_rank)
    preprocessor: Any = small.preprocessor
    labelled = preprocessor.to_training_examples(to_examples(examples), lenient)
    unlabelled = [
        dataclasses.replace(item, answers=(), answer_start=()) for item in to_examples(texts)
    ]
    valid = preprocessor.to_training_examples(to_examples(validation_data or []), lenient)
    data = labelled + unlabelled
    if not data:
        raise ValueError("Give `examples` or `texts` to learn from.")
    if not isinstance(recipe, Recipe):
        recipe = dataclasses.replace(recipe_to_continue(lora_rank), **(recipe or {}))
    folder = None if outputs is None else pathlib.Path(outputs)
    logits = _teacher_logits(large, preprocessor, data, recipe.batch_size, folder, verbose)
    feed, labels = _make_feed(small, data, len(labelled), logits)
    settings = dataclasses.asdict(recipe)
    # JSON turns it into a list.
    del settings["augment_to"]
    run = {
        "seed": seed,
        **settings,
        "temperature": temperature,
        "weight": weight,
        "lora_rank": lora_rank,
        "student": small.weights_checksum(),
        "data": _digest(*(labels[name].tobytes() for name in sorted(labels))),
    }
    score = None
    if valid:
        score = functools.partial(validation_score, small, valid, recipe.batch_size)
    state = TrainingState(run, file, score=score)
    keras.utils.set_random_seed(seed)
    change_training(small, recipe.optimizer, feed, lora_rank)
    model = _Student(small.inputs, dict(small.output), name=small.name)
    losses = {name: DistillationLoss(temperature, weight) for name in labels}
    model.compile(small.optimizer, losses, loss_weights=dict.fromkeys(labels, 0.5))
    model.fit(
        feed,
        labels,
        validation_data=_make_feed(small, valid, len(valid), None) if valid else None,
        epochs=state.last_epoch,
        batch_size=recipe.batch_size,
        callbacks=[*callbacks, state],
        verbose=verbose,
        initial_epoch=state.epochs,
        steps_per_epoch=recipe.steps_per_epoch,
    )
    # Without epochs, it fits the decoder.
    answerer = QuestionAnswerer(small).fit(
        valid or labelled or data, validation_data=valid or None, epochs=0, verbose=0
    )
    save_result(answerer, out, [] if file is None else [file])
    return answerer


def _open_readers(
    teacher: str | os.PathLike[str], student: str | os.PathLike[str], lora_rank: int | None
) -> tuple[Any, Any]:
    large: Any = open_model(teacher, compile=False).model
    small: Any = open_model(student, lora_rank=lora_rank).model
    for name, path, model in (("teacher", teacher, large), ("student", student, small)):
        outputs = model.output if isinstance(model, QAModel) else None
        if not isinstance(outputs, Mapping) or sorted(outputs) != ["end", "start"]:
            raise ValueError(
                f"`{name}` must be a reader that marks spans, and no exported folder. Received: "
                f"{os.fspath(path)!r:.100}."
            )
    if large.answer_types != small.answer_types:
        raise ValueError(
            f"`teacher` has answer_types={large.answer_types!r}, but `student` has "
            f"answer_types={small.answer_types!r}. They must be the same."
        )
    return large, small


def _make_feed(
    model: Any, examples: list[Example], labelled: int, logits: Logits | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns inputs and labels. Only the first `labelled` examples have right positions."""
    windows, spans = model.preprocessor.make_labels(examples)
    is_labelled = windows.example < labelled
    labels = {}
    for column, name in enumerate(("start", "end")):
        right = np.where(is_labelled, spans[:, 0, column], -1)[:, None].astype("float32")
        soft = np.full((len(right), 1), MASKED, "float32")
        if logits is not None:
            soft = logits[name].astype("float32")
            soft[np.isneginf(soft)] = MASKED
        labels[name] = np.concatenate([right, soft], axis=1)
    return model.preprocessor.to_feed(model, windows), labels


def _teacher_logits(
    teacher: Any,
    preprocessor: Any,
    examples: list[Example],
    batch_size: int,
    folder: pathlib.Path | None,
    verbose: int | str,
) -> Logits:
    """Returns the logits of a teacher at the positions of the windows of a student."""
    about = json.dumps([teacher.preprocessor.get_config(), preprocessor.vectorizer.get_config()])
    about += teacher.weights_checksum()
    bar = Bar(len(examples)) if verbose else None
    parts: list[Logits] = []
    for start in range(0, len(examples), CHUNK):
        chunk = examples[start : start + CHUNK]
        content = repr([(item.plain_text, item.question) for item in chunk])
        file = None if folder is None else folder / f"{_digest(about, content)}.npz"
        if file is not None and file.exists():
            with np.load(file, allow_pickle=False) as arrays:
                parts.append({name: arrays[name] for name in ("start", "end")})
        else:
            parts.append(_chunk_logits(teacher, preprocessor, chunk, batch_size))
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                with replace_atomically(file) as partial, open(partial, "wb") as opened:
                    np.savez(opened, **parts[-1])  # type: ignore[arg-type]
        if bar is not None:
            bar.show(start + len(chunk))
    if bar is not None:
        bar.end(len(examples))
    width = max(part["start"].shape[1] for part in parts)
    return {
        name: np.concatenate([_widened(part[name], width) for part in parts]) for name in parts[0]
    }


def _widened(logits: npt.NDArray[np.float16], width: int) -> npt.NDArray[np.float16]:
    more = ((0, 0), (0, width - logits.shape[1]))
    return np.pad(logits, more, constant_values=-np.inf)


def _chunk_logits(
    teacher: Any, preprocessor: Any, examples: list[Example], batch_size: int
) -> Logits:
    windows = preprocessor.vectorizer(examples)
    others = teacher.preprocessor.vectorizer(examples)
    feed = teacher.preprocessor.to_feed(teacher, others)
    outputs = teacher.predict(feed, batch_size=batch_size, verbose=0)
    types = len(teacher.answer_types)
    places, other_places = (_offsets(part, types) for part in (windows, others))
    logits = {name: np.full(places.shape[:2], -np.inf, "float16") for name in ("start", "end")}
    for row, example in enumerate(windows.example):
        rows = np.flatnonzero(others.example == example)
        nearest = rows[np.argmax([_overlap(places[row], other_places[other]) for other in rows])]
        for column, name in enumerate(("start", "end")):
            values = outputs[name][nearest]
            # No answer and the types of answers come first.
            logits[name][row, : 1 + types] = values[: 1 + types]
            own, others_own = places[row, :, column], other_places[nearest, :, column]
            _, positions, other_positions = np.intersect1d(own, others_own, return_indices=True)
            is_text = own[positions] >= 0
            logits[name][row, positions[is_text]] = values[other_positions[is_text]]
    return logits


def _offsets(windows: Any, types: int) -> npt.NDArray[np.int32]:
    """Returns the offsets of the piece at each position of the outputs, or -1."""
    offsets: npt.NDArray[np.int32] = np.insert(windows.offsets, [1] * types, -1, axis=1)
    return offsets


def _overlap(offsets: npt.NDArray[np.int32], others: npt.NDArray[np.int32]) -> int:
    """Returns how many characters two windows share."""
    ranges = [(part[part[:, 0] >= 0]) for part in (offsets, others)]
    if not all(map(len, ranges)):
        return 0
    return int(min(part[:, 1].max() for part in ranges) - max(part[:, 0].min() for part in ranges))


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()[:16]
