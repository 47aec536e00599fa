"""`verify`: checks the sentences of an answer against documents."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from keras_qa._arguments import check_fraction, must_be, short_repr
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.loading import DEFAULT_READER
from keras_qa.answering.opening import open_model
from keras_qa.answering.unsupported_spans import find_unsupported_spans
from keras_qa.example import Answer
from keras_qa.preprocessing.preprocessor import TOKENS

if TYPE_CHECKING:
    from keras_qa.documents import Document, Index
    from keras_qa.models import QAModel

Documents: TypeAlias = (
    "Sequence[str | Document | Mapping[str, str]] | str | os.PathLike[str] | Index"
)
Reader: TypeAlias = "QuestionAnswerer | QAModel | str | os.PathLike[str]"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A sentence or span of an answer, and whether the documents support it.

    `start` and `end` are character offsets in the answer, `document_start` and `document_end` those
    of the support in the document's text. What is unknown is `None`.

    Args:
        text: The sentence.
        supported: Whether a document supports it.
        document: The name of this document.
        score: 1.0 if a document contains it verbatim, and otherwise the score of the reader's
            answer. Of a classifier of tokens, the probability that the span is unsupported.
        line: The line of the document's text in which the support starts, from 1.
    """

    text: str
    start: int
    end: int
    supported: bool = False
    document: str | None = None
    document_start: int | None = None
    document_end: int | None = None
    score: float = 0.0
    line: int | None = None


def verify(
    answer: str,
    documents: Documents,
    question: str | None = None,
    reader: Reader | None = None,
    threshold: float = 0.5,
) -> list[Verdict]:
    """Checks which sentences of an answer the documents support.

    A sentence is supported if a document contains it, or if at most 1,000 characters of a document
    contain each of its quotations and numbers, in whole words and whole numbers. Case, white space,
    the kind of quotation marks and thousands separators do not matter. With a question, a sentence
    is also supported if it contains the reader's answer to the question from these documents.

    A classifier of tokens in the input format of LettuceDetect finds unsupported spans instead.

    Args:
        answer: The answer, such as the output of a language model, as plain text.
        documents: A list of texts, which are named by their positions from `"0"`, or of what
            `Index.add` takes; a `documents.Index`, which saves time if many answers have the same
            documents; or the path of a folder or a file, as in `Index.update`, or of an index.
        question: The question that the answer is about.
        reader: A `QuestionAnswerer` that marks spans, or what `keras_qa.load` takes; only with a
            question, and `None` for the preset `"minilm-squad"`. Or a
            `models.text_classifier` of tokens with the labels 0 for supported and 1 for
            unsupported, or its folder or `hf://owner/name`.
        threshold: The lowest score of the reader's answer, from 0 to 1, or of an unsupported span.
            To fit it on validation data, use `reader.calibrate(index, examples).threshold(0.9)`.

    Returns:
        A `Verdict` for each sentence, or for each unsupported span, in order.

    Raises:
        FileNotFoundError: If there is no such path.
        TypeError: If an argument has the wrong type.
        ValueError: If there are no documents, two have the same name, `threshold` is out of its
            range, or `reader` cannot be used.

    Warns:
        UserWarning: If files of a folder cannot be read, or as in `QuestionAnswerer.ask`.

    Examples:
        >>> import keras_qa
        >>> text = "The warranty is two years. The lamp costs 1,200 euros."
        >>> answer = "The lamp is sold for 1200 euros. The warranty is ten years."
        >>> verdicts = keras_qa.verify(answer, [text])
        >>> [(item.supported, item.document, item.document_start) for item in verdicts]
        [(True, '0', 42), (False, None, None)]
    """
    for name, value in (("answer", answer), ("question", "" if question is None else question)):
        if not isinstance(value, str):
            raise TypeError(must_be(name, "a string", value))
    check_fraction("threshold", threshold)
    # Load the reader first: reading documents takes longer.
    is_read = question is not None or reader is not None
    loaded = _load_reader(reader, question) if is_read else None
    with _open_documents(documents) as index:
        if not len(index):
            raise ValueError("`documents` must hold at least one document that can be read.")
        if loaded is not None and not isinstance(loaded, QuestionAnswerer):
            texts = [index.text(name) for name in index.names]
            spans = find_unsupported_spans(loaded, answer, texts, question)
            return [
                Verdict(answer[start:end], start, end, score=score)
                for start, end, score in spans
                if score >= threshold
            ]
        read = None
        if loaded is not None and question is not None:
            read = loaded.ask(index, question, min_score=threshold, verbose=0)
        return _check_sentences(answer, index, read)


@contextlib.contextmanager
def _open_documents(documents: Documents) -> Iterator[Index]:
    # Not at the top: `documents` needs SQLite, which some builds of Python lack.
    from keras_qa.documents import Document, Index
    from keras_qa.documents.document import to_documents
    from keras_qa.documents.file_formats import SUFFIXES

    if isinstance(documents, Index):
        yield documents
        return
    path = None
    if isinstance(documents, (str, os.PathLike)):
        path = pathlib.Path(documents).expanduser()
    if path is not None and path.is_file() and path.suffix.lower() not in SUFFIXES:
        with Index.open(path) as index:
            yield index
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        Index.create(pathlib.Path(folder, "documents.index")) as index,
    ):
        if path is not None:
            for name, reason in index.update(path, verbose=0).unreadable.items():
                warnings.warn(f"Left out {name}: {reason}.", stacklevel=4)
        elif isinstance(documents, (list, tuple)):
            entries = to_documents(
                Document(str(number), entry) if isinstance(entry, str) else entry
                for number, entry in enumerate(documents)
            )
            index.add(_with_different_names(entries))
        else:
            expected = "a list of texts or of documents, a path, or an index"
            raise TypeError(must_be("documents", expected, documents))
        yield index


def _with_different_names(documents: Iterable[Document]) -> Iterator[Document]:
    names: set[str] = set()
    for document in documents:
        if document.name in names:
            raise ValueError(
                "`documents` must have different names. Received two documents with the name "
                f"{short_repr(document.name)}. Texts without a name are named by their position."
            )
        names.add(document.name)
        yield document


def _check_sentences(answer: str, index: Index, read: Answer | None) -> list[Verdict]:
    """Returns the verdicts on the sentences of an answer, by documents and what a reader found."""
    from keras_qa.documents.verbatim import FoldedText, find_claims, fold

    claims = find_claims(answer)
    # Equal claims once.
    missing = {claim[2:]: claim for claim in claims}
    sources: dict[tuple[object, ...], tuple[Any, ...]] = {}
    for name in index.names:
        text = FoldedText(index.text(name))
        for key, claim in list(missing.items()):
            span = text.locate(claim)
            if span is not None:
                line = text.text.count("\n", 0, span[0]) + 1
                sources[key] = (True, name, *span, 1.0, line)
                del missing[key]
    if read is not None and read.start is not None:
        part = fold(read.text)
        source = (True, read.document, read.start, read.end, read.score, read.line)
        for key, claim in missing.items():
            if any(FoldedText(claim.sentence).find(part)):
                sources[key] = source
    return [
        Verdict(answer[claim.start : claim.end], *claim[:2], *sources.get(claim[2:], ()))
        for claim in claims
    ]


def _load_reader(reader: Reader | None, question: str | None) -> QuestionAnswerer | QAModel:
    loaded: Any = DEFAULT_READER if reader is None else reader
    if isinstance(loaded, (str, os.PathLike)):
        opened = open_model(loaded, compile=False)
        if _classifies_tokens(opened.model):
            return opened.model
        loaded = QuestionAnswerer._from_opened(opened, os.fspath(loaded))
    if not isinstance(loaded, QuestionAnswerer):
        if _classifies_tokens(loaded):
            return loaded
        expected = "a `QuestionAnswerer`, a classifier of tokens, or the name of one"
        raise TypeError(must_be("reader", expected, reader))
    if question is None:
        raise ValueError("A `reader` that marks spans needs a question. Pass `question`.")
    return loaded


def _classifies_tokens(model: Any) -> bool:
    """Whether a model classifies the tokens of pairs, rather than reads texts in windows."""
    preprocessor = getattr(model, "preprocessor", None)
    reads = preprocessor is not None and preprocessor.answers_questions
    return getattr(model, "task", None) == TOKENS and not reads
