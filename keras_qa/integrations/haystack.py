"""A reader as a component of Haystack's pipelines. Needs haystack-ai."""

# Haystack reads the annotations of `run`, and older versions not if they are strings: there is no
# `from __future__ import annotations` here.

import os
from collections.abc import Mapping, Sequence
from typing import Any

from keras_qa._arguments import check_flag, check_fraction, to_integer
from keras_qa.answering import QuestionAnswerer, building, load
from keras_qa.answering.merging import locator
from keras_qa.example import Answer, Example
from keras_qa.preprocessing import AskOptions, SpanPreprocessor

try:
    from haystack import Document, ExtractedAnswer, component, default_from_dict, default_to_dict
    from haystack import logging as haystack_logging
except ImportError as error:
    raise ImportError(
        f"`keras_qa.integrations.haystack` needs haystack-ai, which cannot be imported ({error}). "
        'Install it: `pip install "keras-qa[haystack]"`.'
    ) from None

# Spans that are looked at for each document or answer, as many as Haystack's own reader looks at.
_SPANS = 20
_BATCH_SIZE = 32

# What Haystack's own reader takes and this one does not, and why.
_NOT_TAKEN = {
    "calibration_factor": "its scores have the temperature that the reader was saved with",
    "device": "Keras and its backend choose where a model is",
    "model_kwargs": "they are for PyTorch's model",
    "token": "the Hub's token is read from `HF_TOKEN`",
}

_logger = haystack_logging.getLogger(__name__)


@component
class KerasReader:
    """Marks the answers to a query in documents: a reader, as a component of a pipeline.

    It takes and gives what Haystack's `TransformersExtractiveReader` does (`ExtractiveReader` in
    Haystack 2), and stands in its place. One softmax over the spans of all documents, and there
    being no answer in any, makes the scores: they are probabilities, which add up to one at most.

    Args:
        model: What `keras_qa.load` takes: a `.keras` file, a folder or `hf://owner/name` with a
            published reader, or the name of a preset. It is loaded by `warm_up`.
        top_k: Most answers to a query; that there is none comes on top of them.
        score_threshold: Gives only what has this probability. `None` to give all.
        max_seq_length: Most positions of a window, query included: `length` in messages and other
            places of this package. `None` for the reader's own.
        stride: How many of them a window shares with the one before: `overlap` in other places.
            `None` for the reader's own.
        max_batch_size: Number of windows a step. `None` for 32.
        answers_per_seq: How many spans are looked at, for each document, or for each answer if more
            of these are asked for. `None` for 20.
        no_answer: Whether there may be no answer in any document, which is then said beside the
            answers. A reader that has learned from texts with an answer alone finds it unlikely.
        overlap_threshold: Leaves out an answer of which more than this share, or of a better one in
            the same document, is in both. `None` to keep all.
        max_query_length: Most pieces of a query, `max_question_length` in other places; those
            beyond are cut off. `None` for all, and an error where they leave no room for a text.

    Raises:
        TypeError: If an argument is not known.
        ValueError: If one is out of its range.

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
        model: str | os.PathLike[str] = "minilm-squad-small",
        top_k: int = 20,
        score_threshold: float | None = None,
        max_seq_length: int | None = None,
        stride: int | None = None,
        max_batch_size: int | None = None,
        answers_per_seq: int | None = None,
        no_answer: bool = True,
        overlap_threshold: float | None = 0.01,
        max_query_length: int | None = None,
        **others: object,
    ) -> None:
        if others:
            name = min(others)
            why = f": {_NOT_TAKEN[name]}" if name in _NOT_TAKEN else ""
            raise TypeError(f"`KerasReader` takes no `{name}`{why}. Leave it out.")
        self.model = os.fspath(model)
        self.top_k = top_k
        self.score_threshold = score_threshold
        self.max_seq_length = max_seq_length
        self.stride = stride
        self.max_batch_size = max_batch_size
        self.answers_per_seq = answers_per_seq
        self.no_answer = no_answer
        self.overlap_threshold = overlap_threshold
        self.max_query_length = max_query_length
        _check(self._settings())
        self._answerer: QuestionAnswerer | None = None

    def to_dict(self) -> dict[str, Any]:
        """The component as a dictionary, as a pipeline is saved."""
        data: dict[str, Any] = default_to_dict(self, model=self.model, **self._settings())
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "KerasReader":
        """Makes the component that gave this dictionary."""
        reader: KerasReader = default_from_dict(cls, data)
        return reader

    def warm_up(self) -> None:
        """Loads the reader, once. `run` does it where it was not done.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is refused, or no reader of spans that is trained.
        """
        if self._answerer is not None:
            return
        answerer = load(self.model)
        own = getattr(getattr(answerer, "model_", None), "preprocessor", None)
        if not isinstance(own, SpanPreprocessor):
            found = f"a model that {own.description}" if own else "an encoder without a head"
            raise ValueError(
                f"`model` must be a trained reader of spans. `{self.model}` holds {found}."
            )
        self._answerer = answerer

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
        """Marks the answers to a query in documents.

        Documents without text are left out, and one that is given twice is read once. Their own
        scores do not count.

        Args:
            query: The query.
            documents: The documents.
            top_k: As in the constructor; so are the others. `None` for what was said there.
            score_threshold: As there.
            max_seq_length: As there.
            stride: As there.
            max_batch_size: As there.
            answers_per_seq: As there.
            no_answer: As there.
            overlap_threshold: As there.
            max_query_length: As there.

        Returns:
            `answers`, a list of Haystack's `ExtractedAnswer`, the likeliest first. `data` is the
            answer, `document` one of those that were given, and `document_offset` where in its
            content it stands; all three are `None` for there being no answer. `meta` has the
            `answer_page_number` where the document's has a `page_number`, from which form feeds
            count. No documents give no answers.

        Raises:
            TypeError: If the query is no string, or an entry of `documents` no document.
            ValueError: If an argument is out of its range.
        """
        given = {
            "top_k": top_k,
            "score_threshold": score_threshold,
            "max_seq_length": max_seq_length,
            "stride": stride,
            "max_batch_size": max_batch_size,
            "answers_per_seq": answers_per_seq,
            "no_answer": no_answer,
            "overlap_threshold": overlap_threshold,
            "max_query_length": max_query_length,
        }
        given = {name: value for name, value in given.items() if value is not None}
        settings = {**self._settings(), **given}
        _check(settings)
        if not isinstance(query, str):
            raise TypeError(f"`query` must be a string. Received: {query!r:.80}.")
        read = _with_text(documents)
        self.warm_up()
        found = self._read(query, read, settings) if read else [Answer("", 1.0)]
        answers = _extracted(query, found, read, settings) if documents else []
        return {"answers": answers}

    def _read(
        self, query: str, documents: Sequence[Document], settings: Mapping[str, Any]
    ) -> list[Answer]:
        """The best spans of the documents' contents, one after the other with a break between."""
        assert self._answerer is not None
        model = self._answerer.model_
        options = AskOptions(
            no_answer=settings["no_answer"],
            length=settings["max_seq_length"],
            overlap=settings["stride"],
            max_question_length=settings["max_query_length"],
        )
        preprocessor = building.with_options(model, model.preprocessor, options)
        assert isinstance(preprocessor, SpanPreprocessor)
        example = Example([_content(document) for document in documents], query)
        each = settings["answers_per_seq"] or _SPANS
        count = each * max(len(documents), settings["top_k"])
        size = settings["max_batch_size"] or _BATCH_SIZE
        [found] = preprocessor.answer_from_passages(
            model, [example], [[0.0] * len(documents)], count, size
        )
        return found

    def _settings(self) -> dict[str, Any]:
        """The arguments of the constructor but for the model."""
        return {
            "top_k": self.top_k,
            "score_threshold": self.score_threshold,
            "max_seq_length": self.max_seq_length,
            "stride": self.stride,
            "max_batch_size": self.max_batch_size,
            "answers_per_seq": self.answers_per_seq,
            "no_answer": self.no_answer,
            "overlap_threshold": self.overlap_threshold,
            "max_query_length": self.max_query_length,
        }


def _check(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if name == "no_answer":
            check_flag(name, value)
        elif value is None and name != "top_k":
            continue
        elif name.endswith("threshold"):
            check_fraction(name, value)
        else:
            to_integer(name, value, least=0 if name == "stride" else 1)


def _with_text(documents: Sequence[Document]) -> list[Document]:
    """Those that hold a text, each once."""
    if not isinstance(documents, (list, tuple)):
        raise TypeError(f"`documents` must be a list of documents. Received: {documents!r:.80}.")
    found: dict[tuple[str, str], Document] = {}
    for position, document in enumerate(documents):
        if not isinstance(document, Document):
            raise TypeError(
                "`documents` must hold Haystack's `Document` objects. Received a "
                f"{type(document).__name__} at position {position}."
            )
        if document.content is None:
            _logger.warning(
                "The document with the id {id} has no content, and is left out.", id=document.id
            )
        elif document.content.strip():
            found.setdefault((document.id, document.content), document)
    return list(found.values())


def _content(document: Document) -> str:
    return document.content or ""


def _extracted(
    query: str,
    found: Sequence[Answer],
    documents: Sequence[Document],
    settings: Mapping[str, Any],
) -> list[ExtractedAnswer]:
    """Spans of the contents as Haystack's answers, the likeliest first."""
    locate = locator(map(_content, documents))
    none = [answer for answer in found if answer.start is None]
    # Where each kept one stands: the document's position, and the offsets in its content.
    kept: list[tuple[int, int, int]] = []
    answers = []
    for answer in found:
        if answer.start is None or answer.end is None:
            continue
        number, start = locate(answer.start)
        place = (number, start, start + answer.end - answer.start)
        if any(_overlap(place, other, settings["overlap_threshold"]) for other in kept):
            continue
        kept.append(place)
        answers.append(
            ExtractedAnswer(
                query=query,
                score=answer.score,
                data=answer.text,
                document=documents[number],
                document_offset=ExtractedAnswer.Span(*place[1:]),
                meta=_page(documents[number], place[1]),
            )
        )
        if len(answers) == settings["top_k"]:
            break
    if settings["no_answer"]:
        answers += [ExtractedAnswer(query=query, score=answer.score) for answer in none]
    least = settings["score_threshold"] or 0.0
    return sorted(
        (answer for answer in answers if answer.score >= least), key=lambda answer: -answer.score
    )


def _overlap(
    place: tuple[int, int, int], other: tuple[int, int, int], threshold: float | None
) -> bool:
    """Whether two answers of a document have more in common than is allowed."""
    if threshold is None or place[0] != other[0]:
        return False
    common = min(place[2], other[2]) - max(place[1], other[1])
    return common > threshold * min(place[2] - place[1], other[2] - other[1])


def _page(document: Document, start: int) -> dict[str, Any]:
    """The page of an answer, where it is known on which the document begins."""
    first = document.meta.get("page_number")
    if not isinstance(first, int):
        return {}
    return {"answer_page_number": first + _content(document).count("\f", 0, start)}
