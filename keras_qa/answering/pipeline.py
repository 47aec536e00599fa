"""`pipeline`: the question-answering pipeline of `transformers` 4, with Keras' model."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import MAX_INT, check_flag, must_be, quote_names, to_integer
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.loading import load
from keras_qa.answering.opening import DEFAULT_READER, find
from keras_qa.example import Example
from keras_qa.preprocessing.span_preprocessor import WINDOWS, longest_window
from keras_qa.text import Windower
from keras_qa.text.pieces import Pieces
from keras_qa.text.windows import MAX_LENGTH, Windows

TASK = "question-answering"
_STRIDE = 128

# They choose where and how `transformers` computes, which here Keras does, without any effect on
# answers.
_IGNORED = (
    *("device", "device_map", "dtype", "torch_dtype", "framework", "num_workers", "padding"),
    *("token", "use_auth_token", "trust_remote_code", "use_fast"),
)
# The name of a checkpoint on the Hub, with or without its owner.
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")

# An answer with the keys "score", "start", "end" and "answer"; with `top_k` a list of them.
Result: TypeAlias = dict[str, Any] | list[dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class _Settings:
    """The arguments of a call, with the defaults of `transformers`."""

    top_k: int = 1
    doc_stride: int | None = None
    max_answer_len: int = 15
    max_seq_len: int | None = None
    # Without effect, as with the fast tokenizers of `transformers`.
    max_question_len: int = 64
    handle_impossible_answer: bool = False
    align_to_words: bool = True
    batch_size: int = 32

    def changed(self, options: Mapping[str, object]) -> _Settings:
        """Returns settings with those options that are not `None`."""
        given = {name: value for name, value in options.items() if value is not None}
        if "topk" in given:
            given.setdefault("top_k", given.pop("topk"))
        unknown = given.keys() - {field.name for field in dataclasses.fields(self)} - {*_IGNORED}
        if unknown:
            names = quote_names([field.name for field in dataclasses.fields(self)])
            raise TypeError(
                f"The pipeline has no argument `{min(unknown):.40}`. Expected: {names}."
            )
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name in ("handle_impossible_answer", "align_to_words"):
                check_flag(name, value)
                values[name] = value
            elif name not in _IGNORED:
                values[name] = to_integer(name, value, least=0 if name == "doc_stride" else 1)
        return dataclasses.replace(self, **values)


class _RawWindower(Windower):
    """Windows as `transformers` makes them: its own offsets and words, and exactly its stride."""

    def pieces(self, texts: Sequence[str]) -> Pieces:
        return self.tokenizer.pieces(texts, raw=True)

    def step(self, room: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        # `transformers` fails if a question leaves no more room than the stride.
        return np.where(room > self.stride, room - self.stride, super().step(room))


class QuestionAnsweringPipeline:
    """Answers questions as `pipeline("question-answering")` of `transformers` 4 does.

    `keras_qa.pipeline` makes one, and describes a call. `answerer` is its `QuestionAnswerer`.
    """

    task = TASK

    def __init__(self, answerer: QuestionAnswerer, **options: object) -> None:
        self.answerer = answerer
        self._settings = _Settings().changed(options)
        self._reader()

    def __call__(
        self,
        *args: Any,
        question: str | list[str] | None = None,
        context: str | list[str] | None = None,
        **options: Any,
    ) -> Result | list[Result] | Iterator[Result]:
        inputs: Any = next((options.pop(name) for name in ("X", "data") if name in options), None)
        settings = self._settings.changed(options)
        if len(args) == 2 and all(isinstance(value, str) for value in args):
            inputs = {"question": args[0], "context": args[1]}
        elif args:
            inputs = args[0] if len(args) == 1 else list(args)
        if inputs is None:
            inputs = {"question": question, "context": context}
        elif question is not None or context is not None:
            raise ValueError(
                "`question` and `context` exclude other inputs. Leave one of them out."
            )
        if inspect.isgenerator(inputs):
            return self._stream(inputs, settings)
        is_several = isinstance(inputs, Iterable) and not isinstance(inputs, (str, Mapping))
        results = self._answer(_to_examples(inputs if is_several else [inputs]), settings)
        return results[0] if len(results) == 1 else results

    @staticmethod
    def create_sample(
        question: str | list[str], context: str | list[str]
    ) -> Example | list[Example]:
        """Returns an `Example` of a question and its context, or a list of them."""
        examples = _to_examples([{"question": question, "context": context}])
        return examples if isinstance(question, list) else examples[0]

    def _stream(self, inputs: Iterator[Any], settings: _Settings) -> Iterator[Result]:
        while batch := list(itertools.islice(inputs, settings.batch_size)):
            yield from self._answer(_to_examples(batch), settings)

    def _reader(self) -> tuple[Any, Any]:
        """Returns the model and its preprocessor. Raises if it is no reader of spans."""
        model: Any = getattr(self.answerer, "model_", None)
        preprocessor = getattr(model, "preprocessor", None)
        if (
            preprocessor is None
            or not preprocessor.compares_passages
            or getattr(model, "answer_types", None)
        ):
            content = getattr(preprocessor, "description", "has no head for question answering")
            raise ValueError(
                "`model` must be a trained reader of spans, without `answer_types`. Received a "
                f"model that {content}."
            )
        return model, preprocessor

    def _answer(self, examples: list[Example], settings: _Settings) -> list[Result]:
        model, preprocessor = self._reader()
        windower = _make_windower(model, preprocessor.vectorizer, settings)
        # By their letters in lower case, as in `transformers`.
        answers: list[dict[str, dict[str, Any]]] = [{} for _ in examples]
        no_answer = np.ones(len(examples))
        for windows in windower.batches(examples, WINDOWS):
            outputs = preprocessor.read_windows(model, windows, settings.batch_size)
            start, end = (_softmax(logits, windows) for logits in (outputs.start, outputs.end))
            np.minimum.at(no_answer, windows.example, start[:, 0] * end[:, 0])
            start[:, 0] = end[:, 0] = 0.0
            for row, number in enumerate(windows.example.tolist()):
                context = examples[number].plain_text
                for first, last, score in _window_spans(
                    start[row], end[row], windows, row, settings
                ):
                    text = context[first:last]
                    answer = {"score": 0.0, "start": first, "end": last, "answer": text}
                    answers[number].setdefault(text.lower(), answer)["score"] += score
        return [
            _select(list(row.values()), float(lowest), settings)
            for row, lowest in zip(answers, no_answer, strict=True)
        ]


def pipeline(
    task: str = TASK,
    model: str | os.PathLike[str] | QuestionAnswerer | None = None,
    config: object = None,
    tokenizer: object = None,
    *,
    revision: str | None = None,
    **options: Any,
) -> QuestionAnsweringPipeline:
    """The question-answering pipeline of `transformers` 4, whose code runs with this import.

    The model is one of Keras. The arguments of a call, their defaults, the answers and the scores
    are those of `transformers` 4.57; docs/from-transformers.md lists the differences.

    Args:
        task: `"question-answering"`.
        model: A reader: an argument of `keras_qa.load`, the name of a checkpoint on the Hugging
            Face Hub such as `"deepset/roberta-base-squad2"` (extra `hf`), or a `QuestionAnswerer`.
            `None` for `"minilm-squad"`.
        config, tokenizer: `None` or the same as `model`.
        revision: Branch, tag or commit of a checkpoint on the Hub.
        **options: Defaults of the arguments of a call. Arguments of `transformers` that choose
            where and how to compute, such as `device` and `torch_dtype`, have no effect.

    Returns:
        A function of `question` and `context`, strings or lists of strings; or of a dict with these
        keys, a SquadExample, an `Example`, or a list or a generator of them. It returns a dict with
        `score`, `start`, `end` and `answer`, or a list of dicts if `top_k` is more than 1; for
        several questions a list of these.

    Raises:
        TypeError: If an option is unknown.
        ValueError: If `task` is another, the model is no reader of spans, or an argument is out of
            its range.

    Examples:
        >>> import keras_qa
        >>> qa = keras_qa.pipeline("question-answering")
        >>> answer = qa(question="Who lives in Berlin?", context="Ann lives in Berlin.")
        >>> answer["start"], answer["end"], answer["answer"]
        (0, 3, 'Ann')
    """
    if task != TASK:
        raise ValueError(must_be("task", f'"{TASK}", the only one here', task))
    for name, value in (("config", config), ("tokenizer", tokenizer)):
        if value is not None and value != model:
            raise ValueError(
                must_be(name, "`None` or the same as `model`, which has its own", value)
            )
    if model is None:
        model = DEFAULT_READER
    if not isinstance(model, QuestionAnswerer):
        model = load(_full_name(model, revision))
    return QuestionAnsweringPipeline(model, **options)


def _full_name(model: str | os.PathLike[str], revision: str | None) -> str:
    """Returns the argument of `load` for a name, which may be that of a checkpoint on the Hub."""
    name = os.fspath(model)
    try:
        find(name)
    except FileNotFoundError:
        if not _HUB_NAME.fullmatch(name) or name.endswith(".keras"):
            raise
        name = f"hf://{name}"
    is_on_hub = name.startswith("hf://") and "@" not in name
    return f"{name}@{revision}" if is_on_hub and revision is not None else name


def _to_examples(inputs: Iterable[object]) -> list[Example]:
    """Returns the questions of entries, each an `Example`, a dict or a SquadExample."""
    examples = []
    for item in inputs:
        if isinstance(item, Example):
            examples.append(item)
            continue
        if isinstance(item, Mapping):
            question, context = item.get("question"), item.get("context")
        elif hasattr(item, "question_text") and hasattr(item, "context_text"):
            question, context = item.question_text, item.context_text
        else:
            expected = 'dicts with "question" and "context", or a list of them'
            raise ValueError(must_be("inputs", expected, item))
        questions = question if isinstance(question, list) else [question]
        contexts = context if isinstance(context, list) else [context] * len(questions)
        if len(questions) != len(contexts):
            raise ValueError(
                "`question` and `context` must have the same length. Received: "
                f"{len(questions)} questions and {len(contexts)} contexts."
            )
        for name, values in (("question", questions), ("context", contexts)):
            for value in values:
                if not isinstance(value, str) or not value:
                    raise ValueError(must_be(name, "a string that is not empty", value))
        examples += map(Example, contexts, questions)
    return examples


def _make_windower(model: Any, own: Windower, settings: _Settings) -> Windower:
    longest = longest_window(model)
    length = settings.max_seq_len or min(longest or MAX_LENGTH, MAX_LENGTH)
    if longest is not None and length > longest:
        raise ValueError(
            f"`max_seq_len` is {length}, but the model reads at most {longest} positions. Use a "
            "smaller value."
        )
    stride = min(length // 2, _STRIDE) if settings.doc_stride is None else settings.doc_stride
    if stride > length:
        raise ValueError(
            f"`doc_stride` is {stride}, but `max_seq_len` is {length}. Use a smaller value."
        )
    return _RawWindower(own.tokenizer, length, stride)


def _softmax(logits: np.ndarray, windows: Windows) -> npt.NDArray[np.float64]:
    """The probabilities of the positions of the text and of position 0, in each window."""
    is_masked = windows.offsets[..., 0] < 0
    is_masked[:, 0] = False
    masked = np.where(is_masked, -np.inf, logits.astype("float64"))
    exponents = np.exp(masked - masked.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def _window_spans(
    start: np.ndarray, end: np.ndarray, windows: Windows, row: int, settings: _Settings
) -> Iterator[tuple[int, int, float]]:
    """Yields the first and last character, and the score, of the likeliest spans of a window."""
    count = 2 * settings.top_k + 10 if settings.align_to_words else settings.top_k
    length = min(settings.max_answer_len, len(start))
    ahead = np.lib.stride_tricks.sliding_window_view(np.pad(end, (0, length - 1)), length)
    scores = (start[:, None] * ahead).ravel()
    top = np.argsort(-scores, kind="stable")[:count]
    top = top[scores[top] > 0]
    first, more = np.divmod(top, length)
    offsets = windows.offsets[row]
    # Words end with the window.
    text = offsets[offsets[:, 0] >= 0]
    borders = np.clip(windows.words[row], text.min(initial=MAX_INT), text.max(initial=0))
    borders = borders if settings.align_to_words else offsets
    spans = borders[first, 0], borders[first + more, 1], scores[top]
    yield from zip(*(part.tolist() for part in spans), strict=True)


def _select(answers: list[dict[str, Any]], no_answer: float, settings: _Settings) -> Result:
    """Returns the best answers, or one that is no list."""
    empty = {"score": no_answer, "start": 0, "end": 0, "answer": ""}
    if settings.handle_impossible_answer:
        answers.append(empty)
    elif not answers:
        answers.append({**empty, "score": 0.0})
    best = sorted(answers, key=lambda answer: -answer["score"])[: settings.top_k]
    return best[0] if len(best) == 1 else best
