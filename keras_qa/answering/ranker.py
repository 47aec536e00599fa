"""`Ranker`: a cross-encoder that sorts texts by how well they answer a question."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import (
    check_number,
    check_positive_integers,
    short_repr,
    to_integer,
    to_keras_path,
    to_optional_integer,
)
from keras_qa.example import Example, Ranked, to_examples
from keras_qa.preprocessing.ask_options import Verbose
from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor

if TYPE_CHECKING:
    import keras

    from keras_qa.inputs.groups import Group
    from keras_qa.models import QAModel
    from keras_qa.models.compiling import Callbacks

# Maximum number of pairs in memory at a time.
PAIRS = 4_096

# Activations in the `config.json` of cross-encoders of `sentence-transformers`.
_ACTIVATIONS = ("Identity", "Sigmoid")


class Ranker:
    """Sorts texts by how well they answer a question, for example those that a search found.

    It reads the question and each text as one sequence, which is slower and more accurate than to
    compare vectors. Scores are those of `CrossEncoder` in `sentence-transformers`: the sigmoid of
    the logit, or the logit if the `config.json` of the checkpoint names `Identity`.

    Args:
        model: A ranker in Hugging Face's layout (extra `hf`), which is a model for sequence
            classification with one label: a folder or `hf://owner/name`, optionally with
            `@revision`. Or a `.keras` file that `save` wrote, or a model of
            `models.encoder_classifier` with one label and a tokenizer.
        max_length: Maximum number of positions of a pair, special tokens included. The longer text
            of a longer pair is cut off. Saved with the model. `None` for that of the model.

    Attributes:
        model_: The `QAModel`.
        history_: The `keras.callbacks.History` of the last `fit`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ImportError: If a library that reads checkpoints is not installed.
        TypeError: If `model` is neither a model nor a name.
        ValueError: If the model cannot be loaded or is not a ranker, or `max_length` is out of its
            range.

    Reference:
        Nogueira and Cho 2019, "Passage Re-ranking with BERT", arXiv:1901.04085.

    Examples:
        >>> from keras_qa.answering import Ranker
        >>> from keras_qa.models import encoder_classifier
        >>> untrained = encoder_classifier("minilm", "sequence_classification", num_labels=1)
        >>> ranked = Ranker(untrained).rank("Who left?", ["Ann left.", "It rains."], top_k=1)
        >>> len(ranked), 0 < ranked[0].score < 1
        (1, True)
    """

    history_: keras.callbacks.History

    def __init__(
        self, model: QAModel | str | os.PathLike[str], max_length: int | None = None
    ) -> None:
        # Not at the top: they need Keras.
        from keras_qa.models import QAModel
        from keras_qa.models.presets import open_model
        from keras_qa.models.pretrained import task_of, transformer_of
        from keras_qa.models.pretrained.family import SEQUENCE

        if isinstance(model, (str, os.PathLike)):
            name, model = os.fspath(model)[-100:], open_model(model)[0]
        elif isinstance(model, QAModel):
            name = model.name
        else:
            raise TypeError(
                "`model` must be the name of a ranker or a `models.encoder_classifier`. Received: "
                f"{short_repr(model)} (of type {type(model).__name__})."
            )
        encoder, preprocessor = transformer_of(model), model.preprocessor
        is_ranker = task_of(model) == SEQUENCE and model.outputs[0].shape[1:] == (1,)
        if encoder is None or not is_ranker or not isinstance(preprocessor, PairPreprocessor):
            raise ValueError(
                f"`{name}` is not a ranker. Expected a model for sequence classification with one "
                "label, and with a tokenizer, as `models.encoder_classifier` returns it."
            )
        self.model_ = model
        if max_length is not None:
            limit = to_integer("max_length", max_length, most=encoder.max_length)
            settings = {**preprocessor.get_config(), "max_length": limit}
            model.preprocessor = PairPreprocessor.from_config(settings)
        self._is_sigmoid = _activation(encoder.settings["checkpoint"] or {}) == "Sigmoid"

    @overload
    def rank(
        self, question: str, texts: Iterable[str], top_k: int | None = ..., batch_size: int = ...
    ) -> list[Ranked]: ...

    @overload
    def rank(
        self,
        question: list[str] | tuple[str, ...],
        texts: Iterable[str] | Iterable[Iterable[str]],
        top_k: int | None = ...,
        batch_size: int = ...,
    ) -> list[list[Ranked]]: ...

    def rank(
        self,
        question: str | list[str] | tuple[str, ...],
        texts: Iterable[str] | Iterable[Iterable[str]],
        top_k: int | None = None,
        batch_size: int = 32,
    ) -> list[Ranked] | list[list[Ranked]]:
        """Sorts texts by their scores for a question, best first.

        Args:
            question: A question, or a list of questions.
            texts: A list of texts. For a list of questions, texts for all of them, or a list of
                texts for each.
            top_k: Maximum number of texts to return for a question. `None` for all.
            batch_size: Maximum number of pairs that are computed at once.

        Returns:
            A list of `Ranked`, or for a list of questions a list of these. Texts with equal scores
            keep their order.

        Raises:
            TypeError: If questions or texts are not strings.
            ValueError: If `top_k` or `batch_size` is not a positive integer, or the number of lists
                differs from that of the questions.
        """
        top_k = to_optional_integer("top_k", top_k)
        batch_size = to_integer("batch_size", batch_size)
        if isinstance(question, str):
            return self._rank([question], [_strings("texts", texts)], top_k, batch_size)[0]
        questions = _strings("question", question)
        given: list[Any] = _listed("texts", texts)
        if all(isinstance(item, str) for item in given):
            return self._rank(questions, [given] * len(questions), top_k, batch_size)
        if len(given) != len(questions):
            raise ValueError(
                f"`texts` has {len(given)} lists, but there are {len(questions)} questions. Pass a "
                "list of texts for each question, or one list of strings for all."
            )
        lists = [_strings(f"texts[{place}]", item) for place, item in enumerate(given)]
        return self._rank(questions, lists, top_k, batch_size)

    def fit(
        self,
        examples: Iterable[Example | Mapping[str, Any]],
        *,
        validation_data: Iterable[Example | Mapping[str, Any]] | None = None,
        epochs: int = 1,
        batch_size: int = 8,
        learning_rate: float = 5e-5,
        lora_rank: int | None = None,
        callbacks: Callbacks = None,
        verbose: Verbose = "auto",
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
    ) -> Ranker:
        """Trains on questions, each with a text that answers it and `negatives` that do not.

        The loss is a softmax cross-entropy over the text and the negatives of a question. The
        optimizer is AdamW; its learning rate rises in the first tenth of the steps, then falls to
        0.

        Args:
            examples: `Example` objects with `text`, `question` and `negatives`, or mappings with
                these keys, as `documents.hard_negatives` returns them. Those without negatives are
                left out. Texts that are too long are cut off, so `text` must be a passage and not a
                long document.
            validation_data: Such examples for the loss after each epoch. The weights are not
                trained on them.
            epochs: Number of passes over the examples.
            batch_size: Number of questions in a step.
            learning_rate: The highest learning rate.
            lora_rank: Train matrices of this rank instead of the encoder's weights, see
                `layers.TransformerEncoder.enable_lora`. `None` to train all weights.
            callbacks: Keras callbacks.
            verbose: As in `keras.Model.fit`.
            initial_epoch: As in `QuestionAnswerer.fit`.
            steps_per_epoch: As in `QuestionAnswerer.fit`.

        Returns:
            The ranker itself.

        Raises:
            TypeError: If an example or one of its fields has the wrong type.
            ValueError: If no example has negatives, a text is among its own negatives, or an
                argument is out of its range.

        Reference:
            Gao, Dai and Callan 2021, "Rethink Training of BERT Rerankers in Multi-Stage Retrieval
            Pipeline", arXiv:2101.08751.
        """
        # Not at the top: they need Keras.
        import keras

        from keras_qa.inputs.batching import SetEpoch
        from keras_qa.inputs.groups import GroupBatches
        from keras_qa.models.pretrained import transformer_of
        from keras_qa.models.reader import enable_lora
        from keras_qa.objectives import WarmupLinearDecay
        from keras_qa.objectives.losses import RankingLoss

        check_positive_integers(batch_size=batch_size)
        epochs = to_integer("epochs", epochs, least=0)
        initial_epoch = to_integer("initial_epoch", initial_epoch, least=0)
        steps_per_epoch = to_optional_integer("steps_per_epoch", steps_per_epoch)
        lora_rank = to_optional_integer("lora_rank", lora_rank)
        check_number("learning_rate", learning_rate, positive=True)
        groups, validation = _groups("examples", examples), None
        if validation_data is not None:
            found = _groups("validation_data", validation_data)
            validation = GroupBatches(self.model_, found, batch_size)
        seed = int(np.random.randint(2**31))
        batches = GroupBatches(self.model_, groups, batch_size, seed, steps_per_epoch)
        if lora_rank is not None:
            enable_lora(transformer_of(self.model_), lora_rank)
        steps = max(epochs * len(batches), 1)
        rate = WarmupLinearDecay(learning_rate, steps, steps // 10)
        self.model_.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), RankingLoss())
        own = keras.tree.flatten(getattr(callbacks, "callbacks", callbacks) or [])
        self.history_ = self.model_.fit(
            batches,
            validation_data=validation,
            epochs=epochs,
            initial_epoch=initial_epoch,
            callbacks=[SetEpoch(batches), *own],
            verbose=verbose,
            shuffle=False,
        )
        return self

    def evaluate(
        self, examples: Iterable[Example | Mapping[str, Any]], batch_size: int = 32
    ) -> dict[str, float]:
        """Measures how high the right text is ranked among the negatives of each question.

        Args:
            examples: As in `fit`.
            batch_size: Maximum number of pairs that are computed at once.

        Returns:
            `mrr`, the mean of 1 / rank, and `recall_at_1`, the share of questions whose right text
            is first, in percent; and the number of `examples` with negatives.

        Raises:
            TypeError: As `fit`.
            ValueError: As `fit`.
        """
        groups = _groups("examples", examples)
        # The right text is last, so that it is ranked below equal ones.
        texts = [[*some[1:], some[0]] for _, some in groups]
        ranked = self.rank([question for question, _ in groups], texts, batch_size=batch_size)
        ranks = np.array(
            [
                1 + [item.index for item in items].index(len(some) - 1)
                for items, some in zip(ranked, texts, strict=True)
            ]
        )
        return {
            "mrr": 100.0 * float((1 / ranks).mean()),
            "recall_at_1": 100.0 * float((ranks == 1).mean()),
            "examples": len(ranks),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves weights and tokenizer as one `.keras` file, for any backend.

        Args:
            path: The file. Must end in `.keras`.

        Raises:
            ValueError: If the path does not end in `.keras`.
        """
        self.model_.save(to_keras_path("path", path))

    def save_adapter(self, path: str | os.PathLike[str]) -> None:
        """Saves the weights that `fit(…, lora_rank=…)` trained, without the encoder.

        `keras_qa.load` reads the file, see `QuestionAnswerer.save_adapter`.

        Args:
            path: The file. Must end in `.keras`.

        Raises:
            ImportError: If a library that reads checkpoints is not installed.
            ValueError: If the path does not end in `.keras`, the model was not trained with LoRA,
                or its encoder has other changes.
        """
        from keras_qa.models import adapters

        adapters.save(self.model_, to_keras_path("path", path))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Saves the model as a checkpoint in Hugging Face's layout.

        `keras_qa.load`, and `AutoTokenizer` and `AutoModelForSequenceClassification` of
        `transformers`, read the folder.

        Args:
            folder: The folder. Created if it does not exist.

        Raises:
            ImportError: If the `safetensors` library is missing.
            ValueError: If the model was quantized.
        """
        self.model_.save_pretrained(pathlib.Path(folder))

    def logits(
        self, questions: Sequence[str], texts: Sequence[Sequence[str]], batch_size: int = 32
    ) -> list[npt.NDArray[np.float64]]:
        """Computes the logits of texts for each question, in their order.

        The scores of `rank` are sigmoids of these, or these.

        Args:
            questions: The questions.
            texts: A list of texts for each question.
            batch_size: Maximum number of pairs that are computed at once.
        """
        pairs = [
            (asked, text) for asked, some in zip(questions, texts, strict=True) for text in some
        ]
        # Equal pairs have equal scores: in batches of other widths the last digits differ.
        places: dict[tuple[str, str], int] = {}
        numbers = [places.setdefault(pair, len(places)) for pair in pairs]
        logits = self._logits(list(places), batch_size)[numbers]
        return np.split(logits, np.cumsum([len(some) for some in texts])[:-1]) if texts else []

    def _rank(
        self, questions: list[str], texts: list[list[str]], top_k: int | None, batch_size: int
    ) -> list[list[Ranked]]:
        ranked = []
        for logits, some in zip(self.logits(questions, texts, batch_size), texts, strict=True):
            scores = np.exp(-np.logaddexp(0, -logits)) if self._is_sigmoid else logits
            # By logits, since sigmoids of different logits may be equal.
            order = np.argsort(-logits, kind="stable")[:top_k]
            ranked.append([Ranked(int(n), some[n], float(scores[n])) for n in order])
        return ranked

    def _logits(self, pairs: list[tuple[str, str]], batch_size: int) -> npt.NDArray[np.float64]:
        preprocessor: Any = self.model_.preprocessor
        found = [np.zeros(0)]
        for start in range(0, len(pairs), PAIRS):
            first, second = zip(*pairs[start : start + PAIRS], strict=True)
            feed = preprocessor.make_feed(self.model_, first, second)
            logits = self.model_.predict(feed, batch_size=batch_size, verbose=0)
            found.append(logits[:, 0].astype("float64"))
        return np.concatenate(found)


def _groups(name: str, examples: Iterable[Example | Mapping[str, Any]]) -> list[Group]:
    """Returns the question of each example with negatives, its text and the negatives."""
    groups = []
    for position, item in enumerate(to_examples(examples)):
        if item.plain_text in item.negatives:
            raise ValueError(
                f"`{name}` has an example at position {position} whose `text` is one of its "
                "`negatives`, which must not answer the question. Leave it out."
            )
        if item.negatives:
            groups.append((item.question, [item.plain_text, *item.negatives]))
    if not groups:
        raise ValueError(
            f"`{name}` has no example with `negatives`: passages that do not answer the question. "
            "`documents.hard_negatives(index, examples)` finds them."
        )
    return groups


def _activation(config: dict[str, Any]) -> str:
    """Returns the name of the activation after the logit, by a `config.json`."""
    own = config.get("sentence_transformers")
    path = own.get("activation_fn") if isinstance(own, dict) else None
    path = path or config.get("sbert_ce_default_activation_function") or "Sigmoid"
    name = str(path).rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"The activation of a ranker must be one of {', '.join(_ACTIVATIONS)}. The "
            f"`config.json` of the checkpoint has {str(path)!r:.80}."
        )
    return name


def _strings(name: str, values: object) -> list[str]:
    found = _listed(name, values)
    wrong = [item for item in found if not isinstance(item, str)]
    if wrong:
        raise TypeError(
            f"`{name}` must be a list of strings. It holds {short_repr(wrong[0])} (of type "
            f"{type(wrong[0]).__name__})."
        )
    return found


def _listed(name: str, values: object) -> list[Any]:
    if isinstance(values, (str, bytes, dict)) or not isinstance(values, Iterable):
        raise TypeError(
            f"`{name}` must be a list of strings. Received: {short_repr(values)} (of type "
            f"{type(values).__name__})."
        )
    return list(values)
