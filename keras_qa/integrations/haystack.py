"""A reader and a ranker as components of Haystack pipelines. Needs haystack-ai."""

# No `from __future__ import annotations`: older versions of Haystack evaluate the annotations of
# `run`, and cannot read strings.

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_qa._arguments import check_flag, check_fraction, check_number, to_integer
from keras_qa._numbers import sigmoid
from keras_qa.answering import Reranker
from keras_qa.answering.loading import load
from keras_qa.answering.opening import DEFAULT_READER
from keras_qa.example import Answer, Example
from keras_qa.integrations.answer_metadata import check_query, missing_package
from keras_qa.preprocessing.ask_calibration import AskOptions

try:
    from haystack import Document, ExtractedAnswer, component, default_from_dict, default_to_dict
    from haystack import logging as haystack_logging
except ImportError as error:
    raise missing_package("haystack", "haystack-ai", error) from None

# Candidate spans for each document or answer, as in Haystack's own reader.
_SPANS = 20
_BATCH_SIZE = 32

_logger = haystack_logging.getLogger(__name__)


class _Component:
    """A component whose arguments are a model and settings, which `run` may change for one call.

    Haystack reads its arguments from the signatures. These methods take them from `locals()`.
    """

    # Not `__init__`: Haystack copies the class, so that `super()` does not find this one.
    def _set(self, arguments: Mapping[str, Any]) -> None:
        self.model = os.fspath(arguments["model"])
        others = ("self", "model")
        self._settings = {name: arguments[name] for name in arguments if name not in others}
        _check(self._settings)
        self._loaded: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Serializes the component to a dictionary."""
        data: dict[str, Any] = default_to_dict(self, model=self.model, **self._settings)
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Any:
        """Deserializes the component from a dictionary."""
        return default_from_dict(cls, data)

    def _start(self, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], list[Document]]:
        """Checks the arguments of `run`. Returns the settings, and the documents to read."""
        options = {name: arguments.get(name) for name in self._settings}
        options = {name: value for name, value in options.items() if value is not None}
        settings = {**self._settings, **options}
        _check(settings)
        check_query(arguments["query"])
        return settings, _with_text(arguments["documents"])


@component
class KerasReader(_Component):
    """Extracts the answers to a query from documents.

    A drop-in replacement for Haystack's `TransformersExtractiveReader` (`ExtractiveReader` in
    Haystack 2). The scores are probabilities: one softmax over the spans of all documents and over
    the case that no document has an answer.

    Args:
        model: An argument of `keras_qa.load`. `warm_up` loads it.
        top_k: Maximum number of answers, not counting "no answer".
        score_threshold: Minimum score of an answer. `None` to return all.
        max_seq_length: Maximum length of a window in tokens, including the query. `None` for the
            reader's own.
        stride: Number of tokens that two windows share. `None` for the reader's own.
        max_batch_size: Number of windows in a batch. `None` for 32.
        answers_per_seq: Number of candidate spans for each document, or for each answer if `top_k`
            is larger. `None` for 20.
        no_answer: Whether to add "no answer" with its score.
        overlap_threshold: Drops an answer that overlaps with a better one of the same document by
            more than this share of the shorter one. `None` to keep all.
        max_query_length: Maximum number of tokens of a query; a longer query is truncated. `None`
            for no limit, and an error if the query leaves no room for the text.

    Raises:
        ValueError: If an argument is out of range.

    Examples:
        >>> import os, tempfile
        >>> from haystack import Document
        >>> from keras_qa import Example, QuestionAnswerer
        >>> from keras_qa.integrations.haystack import KerasReader
        >>> path = os.path.join(tempfile.mkdtemp(), "qa.keras")
        >>> qa = QuestionAnswerer("span_reader", {"units": 8}, seed=0)
        >>> qa.fit([Example("Ann left.", "Who left?", "Ann", 0)], epochs=1, verbose=0).save(path)
        >>> reader = KerasReader(path, top_k=1, no_answer=False)
        >>> documents = [Document(content="Ann left."), Document(content="Bob stayed.")]
        >>> [answer] = reader.run("Who stayed?", documents)["answers"]
        >>> where = answer.document_offset
        >>> answer.document.content[where.start : where.end] == answer.data
        True
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_READER,
        top_k: int = 20,
        score_threshold: float | None = None,
        max_seq_length: int | None = None,
        stride: int | None = None,
        max_batch_size: int | None = None,
        answers_per_seq: int | None = None,
        no_answer: bool = True,
        overlap_threshold: float | None = 0.01,
        max_query_length: int | None = None,
    ) -> None:
        self._set(locals())

    def warm_up(self) -> None:
        """Loads the reader. `run` calls it. It raises a `ValueError` for other models."""
        if self._loaded is not None:
            return
        answerer = load(self.model)
        preprocessor = getattr(getattr(answerer, "model_", None), "preprocessor", None)
        if preprocessor is None or not preprocessor.compares_passages:
            content = getattr(preprocessor, "description", "has no head")
            raise ValueError(
                f"`model` must be a trained reader of spans. `{self.model}` holds a model that "
                f"{content}."
            )
        self._loaded = answerer

    @component.output_types(answers=list[ExtractedAnswer])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
        max_seq_length: int | None = None,
        stride: int | None = None,
        max_batch_size: int | None = None,
        answers_per_seq: int | None = None,
        no_answer: bool | None = None,
        overlap_threshold: float | None = None,
        max_query_length: int | None = None,
    ) -> dict[str, list[ExtractedAnswer]]:
        """Extracts the answers to a query from documents.

        Documents without text are skipped, and duplicates are read once. The other arguments are
        those of the constructor; `None` keeps the value given there.

        Returns:
            `answers`, a list of Haystack's `ExtractedAnswer`, best first; empty if there are no
            documents. `data` is the answer, `document` one of `documents`, and `document_offset`
            the place in its content; all three are `None` for "no answer". If `meta` of the
            document has a `page_number`, `meta` of the answer has an `answer_page_number`, which
            counts form feeds from there.
        """
        settings, read = self._start(locals())
        self.warm_up()
        spans = self._read(query, read, settings) if read else [Answer("", 1.0)]
        answers = _extracted(query, spans, read, settings) if documents else []
        return {"answers": answers}

    def _read(
        self, query: str, documents: Sequence[Document], settings: Mapping[str, Any]
    ) -> list[Answer]:
        """Returns the best spans, with offsets in the concatenated contents of the documents."""
        model = self._loaded.model_
        read_options = AskOptions(
            no_answer=settings["no_answer"],
            max_length=settings["max_seq_length"],
            stride=settings["stride"],
            max_question_length=settings["max_query_length"],
        )
        preprocessor = model.preprocessor.with_options(model, **read_options)
        example = Example([_content(document) for document in documents], query)
        count = (settings["answers_per_seq"] or _SPANS) * max(len(documents), settings["top_k"])
        size = settings["max_batch_size"] or _BATCH_SIZE
        [spans] = preprocessor.answer_from_passages(model, [example], count, size)
        return spans


@component
class KerasRanker(_Component):
    """Sorts documents by how well they answer a query.

    It has the inputs and outputs of Haystack's `TransformersSimilarityRanker`.

    Args:
        model: An argument of `answering.Reranker`. `warm_up` loads it.
        top_k: Maximum number of documents.
        scale_score: Whether scores are between 0 and 1, by a sigmoid, rather than logits.
        score_threshold: Minimum score of a document. `None` to return all.
        batch_size: Number of documents in a batch.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "minilm-rerank",
        top_k: int = 10,
        scale_score: bool = True,
        score_threshold: float | None = None,
        batch_size: int = 32,
    ) -> None:
        self._set(locals())

    def warm_up(self) -> None:
        """Loads the ranker. `run` calls it. It raises a `ValueError` for other models."""
        if self._loaded is None:
            self._loaded = Reranker(self.model)

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        scale_score: bool | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, list[Document]]:
        """Sorts documents by their scores for a query. The arguments are as in `KerasReader.run`.

        Returns:
            `documents`, best first: copies of the given ones with new scores.
        """
        settings, read = self._start(locals())
        self.warm_up()
        [logits] = self._loaded.logits([query], [list(map(_content, read))], settings["batch_size"])
        scores = sigmoid(logits) if settings["scale_score"] else logits
        least = settings["score_threshold"]
        return {
            "documents": [
                dataclasses.replace(read[number], score=float(scores[number]))
                for number in np.argsort(-logits, kind="stable")[: settings["top_k"]]
                if least is None or scores[number] >= least
            ]
        }


def _check(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if name in ("no_answer", "scale_score"):
            check_flag(name, value)
        elif value is None and name not in ("top_k", "batch_size"):
            continue
        elif name.endswith("threshold"):
            # The scores of a ranker may be logits.
            (check_number if "scale_score" in settings else check_fraction)(name, value)
        else:
            to_integer(name, value, least=0 if name == "stride" else 1)


def _with_text(documents: Sequence[Document]) -> list[Document]:
    """Returns the documents with text, without duplicates."""
    is_list = isinstance(documents, (list, tuple))
    if not is_list or not all(isinstance(document, Document) for document in documents):
        raise TypeError(
            "`documents` must be a list of Haystack's `Document` objects. Received: "
            f"{documents!r:.80}."
        )
    unique: dict[tuple[str, str], Document] = {}
    for document in documents:
        if document.content is None:
            _logger.warning(
                "The document with the id {id} has no content, and is skipped.", id=document.id
            )
        elif document.content.strip():
            unique.setdefault((document.id, document.content), document)
    return list(unique.values())


def _content(document: Document) -> str:
    return document.content or ""


def _extracted(
    query: str,
    spans: Sequence[Answer],
    documents: Sequence[Document],
    settings: Mapping[str, Any],
) -> list[ExtractedAnswer]:
    """Converts spans to Haystack's answers, best first."""
    # The spans have offsets in the joined contents.
    begins = np.cumsum([0, *(len(_content(document)) + 1 for document in documents)])
    none = [answer for answer in spans if not answer.text]
    # Position of the document, start and end in its content, for each answer.
    kept: list[tuple[int, int, int]] = []
    answers: list[ExtractedAnswer] = []
    for answer in spans:
        if len(answers) == settings["top_k"]:
            break
        if answer.start is None or answer.end is None:
            # An answer such as "yes" has no document.
            if answer.text:
                extracted = ExtractedAnswer(query=query, score=answer.score, data=answer.text)
                answers.append(extracted)
            continue
        number = int(np.searchsorted(begins, answer.start, side="right")) - 1
        start = answer.start - int(begins[number])
        span = (number, start, start + answer.end - answer.start)
        if any(_overlap(span, other, settings["overlap_threshold"]) for other in kept):
            continue
        kept.append(span)
        answers.append(
            ExtractedAnswer(
                query=query,
                score=answer.score,
                data=answer.text,
                document=documents[number],
                document_offset=ExtractedAnswer.Span(*span[1:]),
                meta=_page(documents[number], start),
            )
        )
    if settings["no_answer"]:
        answers += [ExtractedAnswer(query=query, score=answer.score) for answer in none]
    least = settings["score_threshold"] or 0.0
    return sorted(
        (answer for answer in answers if answer.score >= least), key=lambda answer: -answer.score
    )


def _overlap(
    span: tuple[int, int, int], other: tuple[int, int, int], threshold: float | None
) -> bool:
    """Whether two answers overlap by more than the threshold."""
    if threshold is None or span[0] != other[0]:
        return False
    common = min(span[2], other[2]) - max(span[1], other[1])
    return common > threshold * min(span[2] - span[1], other[2] - other[1])


def _page(document: Document, start: int) -> dict[str, Any]:
    """Returns the page of an answer, if the first page of the document is known."""
    first = document.meta.get("page_number")
    if not isinstance(first, int):
        return {}
    return {"answer_page_number": first + _content(document).count("\f", 0, start)}
