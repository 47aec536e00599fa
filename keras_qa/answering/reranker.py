"""`Reranker`: a cross-encoder that sorts texts by how well they answer a question."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import (
    check_number,
    check_positive_integers,
    is_ordered,
    must_be,
    short_repr,
    to_integer,
    to_optional_integer,
)
from keras_qa._numbers import sigmoid
from keras_qa.answering.estimator import Examples, SaveMixin
from keras_qa.answering.opening import open_model
from keras_qa.example import Ranked, to_examples, to_questions
from keras_qa.onnx.runtime import check_trainable
from keras_qa.preprocessing.pair_preprocessor import Relevance, stack_rows
from keras_qa.preprocessing.preprocessor import SEQUENCE, Preprocessor, Verbose

if TYPE_CHECKING:
    import keras

    from keras_qa.engine.compiling import Optimizer
    from keras_qa.models import QAModel

# Maximum number of pairs in memory at a time.
PAIRS = 4_096

# Activations in the `config.json` of cross-encoders of `sentence-transformers`.
_ACTIVATIONS = ("Identity", "Sigmoid")


class Reranker(SaveMixin):
    """Sorts texts by how well they answer a question, for example those that a search found.

    It reads the question and each text as one sequence. The longer text of a pair that is too long
    is cut off. After `calibrate`, a score is the probability that a text is relevant. Without it,
    scores are those of `CrossEncoder` in `sentence-transformers`: the sigmoid of the logit, or the
    logit if the `config.json` of the checkpoint names `Identity`.

    Args:
        model: What `keras_qa.load` takes, or a model of `models.text_classifier` with one label and
            a tokenizer.

    Attributes:
        model_: The `QAModel`.
        history_: The `keras.callbacks.History` of the last `fit`.

    Reference:
        Nogueira and Cho 2019, "Passage Re-ranking with BERT", arXiv:1901.04085.

    Examples:
        >>> from keras_qa.answering import Reranker
        >>> from keras_qa.models import text_classifier
        >>> untrained = text_classifier("minilm", "sequence_classification", num_labels=1)
        >>> ranked = Reranker(untrained).rank("Who left?", ["Ann left.", "It rains."], top_k=1)
        >>> len(ranked), 0 < ranked[0].score < 1
        (1, True)
    """

    history_: keras.callbacks.History

    def __init__(self, model: QAModel | str | os.PathLike[str]) -> None:
        opened: Any = model
        name = getattr(model, "name", "")
        if isinstance(model, (str, os.PathLike)):
            name, opened = os.fspath(model)[-100:], open_model(model).model
        if not hasattr(opened, "preprocessor"):
            raise TypeError(
                "`model` must be the name of a ranker or a `models.text_classifier`. Received: "
                f"{short_repr(model)} (of type {type(model).__name__})."
            )
        if (opened.task, opened.width) != (SEQUENCE, 1) or opened.preprocessor is None:
            raise ValueError(
                f"`{name}` is not a ranker. Expected a model for sequence classification with one "
                "label, and with a tokenizer, as `models.text_classifier` returns it."
            )
        self.model_ = opened
        self._is_sigmoid = _activation(opened.config) == "Sigmoid"

    def rank(
        self,
        question: str | Iterable[str],
        texts: Iterable[str] | Iterable[Iterable[str]],
        top_k: int | None = None,
        batch_size: int = 32,
        min_precision: float | None = None,
    ) -> list[Any]:
        """Sorts texts by their scores for a question, best first.

        Args:
            question: A question, or a list of questions.
            texts: A list of texts. For a list of questions, texts for all of them, or a list of
                texts for each.
            top_k: Maximum number of texts to return for a question. `None` for all.
            batch_size: Number of pairs that are computed at once.
            min_precision: Minimum share of relevant texts among all that are returned, by the
                result of `calibrate`, with a confidence of 0.9. Texts with lower scores are left
                out. `None` for all texts.

        Returns:
            A list of `Ranked`, or for a list of questions a list of these. Texts with equal scores
            keep their order.

        Raises:
            ValueError: If numbers of lists differ, or with `min_precision` if the ranker is not
                calibrated, or no score reaches it.
        """
        top_k = to_optional_integer("top_k", top_k)
        batch_size = to_integer("batch_size", batch_size)
        questions = to_questions(question)
        lists = _text_lists(texts, questions, isinstance(question, str))
        least = -np.inf
        if min_precision is not None:
            if self._preprocessor.relevance is None:
                raise ValueError(
                    "`min_precision` needs a calibration. Call `calibrate(questions, texts, "
                    "labels)` first, with texts of which it is known whether they are relevant."
                )
            least = self._preprocessor.relevance.threshold(min_precision)
        ranked = []
        all_logits = self.logits(questions, lists, batch_size)
        for logits, strings in zip(all_logits, lists, strict=True):
            values = self._scores(logits)
            # By logits, since sigmoids of different logits may be equal.
            order = np.argsort(-logits, kind="stable")
            kept = order[values[order] >= least][:top_k]
            ranked.append([Ranked(int(n), strings[n], float(values[n])) for n in kept])
        return ranked[0] if isinstance(question, str) else ranked

    def calibrate(
        self,
        questions: str | Iterable[str],
        texts: Iterable[str] | Iterable[Iterable[str]],
        labels: Iterable[int] | Iterable[Iterable[int]],
        batch_size: int = 32,
    ) -> Relevance:
        """Fits the scores of `rank` to texts of which it is known whether they are relevant.

        From then on, a score is the probability that a text is relevant: a logistic regression on
        the logit. Give such texts as `rank` will sort, for example the first 20 that a search finds
        for each question. The result is stored in `model_.preprocessor.relevance`, and saved with
        the model, until the next `fit`.

        Args:
            questions: A list of questions, or one question.
            texts: A list of texts for each question, or one text for each.
            labels: In the form of `texts`: 1 for a text that answers its question, 0 for any other.
            batch_size: Number of pairs that are computed at once.

        Returns:
            The `scale` and `offset` of the logit, and with `threshold(min_precision)` the minimum
            score for a precision.

        Raises:
            ValueError: If numbers of texts and labels differ, a label is neither 0 nor 1, only one
                of these occurs, or texts with the label 1 do not have higher logits.

        Reference:
            Platt 1999, "Probabilistic Outputs for Support Vector Machines". Geifman and El-Yaniv
            2017, arXiv:1705.08500: the precisions.
        """
        check_positive_integers(batch_size=batch_size)
        is_single, names = isinstance(questions, str), to_questions(questions)
        rows: list[Any] = [texts] if is_single else _rows("texts", texts)
        label_rows: list[Any] = [labels] if is_single else _rows("labels", labels)
        if all(isinstance(text, str) for text in rows):
            rows, label_rows = [[text] for text in rows], [[label] for label in label_rows]
        lists = _text_lists(rows, names, is_single=False)
        known = _to_labels(label_rows, lists)
        logits = np.concatenate([np.zeros(0), *self.logits(names, lists, batch_size)])
        relevance = self._preprocessor.relevance = Relevance.fit(logits, known)
        return relevance

    def fit(
        self,
        examples: Examples,
        *,
        validation_data: Examples | None = None,
        epochs: int = 1,
        batch_size: int = 8,
        learning_rate: float = 5e-5,
        lora_rank: int | None = None,
        optimizer: Optimizer | Callable[[int], Optimizer] | None = None,
        **options: Any,
    ) -> Reranker:
        """Trains on questions, each with a text that answers it and `negatives` that do not.

        The loss is a softmax cross-entropy over the text and the negatives of a question. The
        accuracy is the share of questions whose text has the highest score. The optimizer is AdamW;
        its learning rate rises in the first tenth of the steps, then falls to 0.

        Args:
            examples: Examples as `documents.hard_negatives` returns them. Those without negatives
                are left out. `text` must be a passage, since a longer text is cut off.
            validation_data: Such examples for the loss and the accuracy after each epoch.
            epochs: Number of passes over the examples.
            batch_size: Number of questions in a step.
            learning_rate: The highest learning rate.
            lora_rank: Train matrices of this rank instead of the encoder's weights, see
                `layers.TransformerEncoder.enable_lora`. `None` to train all weights.
            optimizer: Another optimizer, which `learning_rate` does not apply to; or a function
                that takes the number of questions and returns one.
            **options: `callbacks`, `verbose`, `initial_epoch` and `steps_per_epoch`, as in
                `QuestionAnswerer.fit`.

        Returns:
            The ranker itself.

        Raises:
            ValueError: If no example has negatives, a text is among its own negatives, or an
                argument is out of its range.

        Reference:
            Gao, Dai and Callan 2021, arXiv:2101.08751.
        """
        check_trainable(self.model_)
        # Not at the top: they need Keras.
        import keras

        from keras_qa.engine.compiling import resolve_optimizer
        from keras_qa.layers.classification_head import transformer_of
        from keras_qa.losses import WarmupLinearDecay
        from keras_qa.models.multiple_choice import choose_on_encoder
        from keras_qa.models.reader import enable_lora

        check_positive_integers(batch_size=batch_size)
        epochs = to_integer("epochs", epochs, least=0)
        lora_rank = to_optional_integer("lora_rank", lora_rank)
        check_number("learning_rate", learning_rate, positive=True)
        feed, labels = self._make_training_data("examples", examples)
        validation = None
        if validation_data is not None:
            validation = self._make_training_data("validation_data", validation_data)
        encoder = transformer_of(self.model_)
        assert encoder is not None
        if lora_rank is not None:
            enable_lora(encoder, lora_rank)
        optimizer = resolve_optimizer(optimizer, len(labels))
        if optimizer is None:
            steps = epochs * (options.get("steps_per_epoch") or -(-len(labels) // batch_size))
            rate = WarmupLinearDecay(learning_rate, max(steps, 1), steps // 10)
            optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01)
        # A calibration is of the weights before.
        self._preprocessor.relevance = None
        # It shares the layers of the ranker.
        model = choose_on_encoder(encoder, self.model_.get_layer("logits"), optimizer)
        self.history_ = model.fit(
            feed, labels, batch_size, epochs, validation_data=validation, **options
        )
        return self

    def evaluate(
        self, examples: Examples, batch_size: int = 32, verbose: Verbose = 0
    ) -> dict[str, float]:
        """Measures how often the text of an example has a higher score than its `negatives`.

        Returns:
            `exact_match`, the percentage of questions whose text has the highest score; `loss`, the
            mean cross-entropy of `fit`; and the number of `examples`.
        """
        questions, texts = _groups("examples", examples)
        rows = self.logits(questions, texts, batch_size, verbose)
        first = [row[-1] > row[:-1].max() for row in rows]
        losses = [np.logaddexp.reduce(row) - row[-1] for row in rows]
        exact_match, loss = 100.0 * float(np.mean(first)), float(np.mean(losses))
        return {"exact_match": exact_match, "loss": loss, "examples": len(rows)}

    def logits(
        self,
        questions: Sequence[str],
        texts: Sequence[Sequence[str]],
        batch_size: int = 32,
        verbose: Verbose = 0,
    ) -> list[npt.NDArray[np.float64]]:
        """Computes the logits of texts for each question, in their order."""
        # Equal pairs have equal scores: in batches of other widths the last digits differ.
        numbers: dict[tuple[str, str], int] = {}
        rows = [
            numbers.setdefault((question, text), len(numbers))
            for question, strings in zip(questions, texts, strict=True)
            for text in strings
        ]
        pairs, parts = list(numbers), [np.zeros(0)]
        for start in range(0, len(pairs), PAIRS):
            first, second = zip(*pairs[start : start + PAIRS], strict=True)
            feed = self._preprocessor.make_feed(self.model_, first, second)
            logits = self.model_.predict(feed, batch_size=batch_size, verbose=verbose)
            parts.append(logits[:, 0].astype("float64"))
        ends = np.cumsum([*map(len, texts)], dtype=int)
        return np.split(np.concatenate(parts)[rows], ends)[:-1]

    def _fitted(self) -> tuple[QAModel, Preprocessor]:
        assert self.model_.preprocessor is not None
        return self.model_, self.model_.preprocessor

    @property
    def _preprocessor(self) -> Any:
        return self.model_.preprocessor

    def _scores(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.floating[Any]]:
        if self._preprocessor.relevance is not None:
            return self._preprocessor.relevance.scores(logits)
        return sigmoid(logits) if self._is_sigmoid else logits

    def _make_training_data(
        self, name: str, examples: Examples
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns inputs, `(questions, texts, time)`, and labels: the right text is the last."""
        questions, texts = _groups(name, examples)
        counts = np.array(list(map(len, texts)))
        repeated = np.repeat(np.array(questions, object), counts).tolist()
        rows = self._preprocessor.make_feed(self.model_, repeated, list(itertools.chain(*texts)))
        return {name: stack_rows(array, counts) for name, array in rows.items()}, counts - 1


def is_ranker(model: Any) -> bool:
    """Whether a `Reranker` takes a model, with one label."""
    return getattr(model, "task", None) == SEQUENCE


def _groups(name: str, examples: Examples) -> tuple[list[str], list[list[str]]]:
    """Returns questions, and the texts of each: its negatives, and the right text as the last."""
    questions, texts = [], []
    for position, item in enumerate(to_examples(examples)):
        if item.plain_text in item.negatives:
            raise ValueError(
                f"`{name}` has an example at position {position} whose `text` is one of its "
                "`negatives`, which must not answer the question. Leave it out."
            )
        if item.negatives:
            questions.append(item.question)
            texts.append([*item.negatives, item.plain_text])
    if not questions:
        raise ValueError(
            f"`{name}` has no example with `negatives`: passages that do not answer the "
            "question. `documents.hard_negatives(index, examples)` finds them."
        )
    return questions, texts


def _activation(config: dict[str, Any]) -> str:
    """Returns the name of the activation after the logit, by a `config.json`."""
    settings = config.get("sentence_transformers")
    path = settings.get("activation_fn") if isinstance(settings, dict) else None
    path = path or config.get("sbert_ce_default_activation_function") or "Sigmoid"
    name = str(path).rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"The activation of a ranker must be one of {', '.join(_ACTIVATIONS)}. The "
            f"`config.json` of the checkpoint has {str(path)!r:.80}."
        )
    return name


def _text_lists(texts: Any, questions: list[str], is_single: bool) -> list[list[str]]:
    """Returns the texts of each question."""
    is_list = not is_single and isinstance(texts, (list, tuple))
    if not is_list or all(isinstance(item, str) for item in texts):
        return [_strings("texts", texts)] * len(questions)
    if len(texts) != len(questions):
        raise ValueError(
            f"`texts` has {len(texts)} lists, but there are {len(questions)} questions. "
            "Pass a list of texts for each question, or one list of strings for all."
        )
    return [_strings(f"texts[{number}]", item) for number, item in enumerate(texts)]


def _strings(name: str, values: Any) -> list[str]:
    strings: list[Any] = list(values) if is_ordered(values) else [None]
    if not all(isinstance(item, str) for item in strings):
        raise TypeError(f"`{name}` must be a list of strings. Received: {short_repr(values)}.")
    return strings


def _rows(name: str, values: Any) -> list[Any]:
    if not is_ordered(values):
        raise TypeError(must_be(name, "a list", values))
    return list(values)


def _to_labels(rows: list[Any], texts: list[list[str]]) -> npt.NDArray[np.bool_]:
    """Returns whether each text is relevant, of all questions after each other."""
    labels = [list(row) if is_ordered(row) else [row] for row in rows]
    if [*map(len, labels)] != [*map(len, texts)]:
        raise ValueError(
            f"`labels` must have an entry for each text. Received: {sum(map(len, labels))} labels "
            f"and {sum(map(len, texts))} texts, or lists of other lengths."
        )
    values = [label for row in labels for label in row]
    for position, value in enumerate(values):
        if np.ndim(value) or value not in (0, 1):
            raise ValueError(
                f"`labels` must be 0 or 1. Received: {short_repr(value)} at position {position} "
                "of all."
            )
    if len({*values}) != 2:
        raise ValueError(
            "`labels` must have both 0 and 1: texts that answer their questions, and others. "
            f"Received: {len(values)} labels of {short_repr({*map(int, values)})}."
        )
    return np.array(values, bool)
