"""`verify`: checks the sentences of an answer against documents."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from keras_qa._arguments import check_fraction, must_be
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.loading import DEFAULT_READER, load
from keras_qa.preprocessing import SpanPreprocessor

if TYPE_CHECKING:
    from keras_qa.documents import Document, Index

# What `verify` reads: texts or documents, a path, or an index.
Documents: TypeAlias = (
    "Sequence[str | Document | Mapping[str, str]] | str | os.PathLike[str] | Index"
)
Reader: TypeAlias = QuestionAnswerer | str | os.PathLike[str]

# The lowest score of a reader that always finds an answer, if no threshold is given.
THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A sentence of an answer, and whether the documents support it.

    Args:
        text: The sentence.
        start: Character offset of the sentence in the answer.
        end: Offset one past its last character.
        supported: Whether a document supports it.
        document: The name of this document, or `None`.
        document_start: Character offset of the support in the document's text, or `None`.
        document_end: Offset one past its last character, or `None`.
        score: 1.0 for what stands in a document; otherwise the score of the reader's answer if the
            sentence contains it, even if it is below the threshold, and 0.0 if not.
    """

    text: str
    start: int
    end: int
    supported: bool = False
    document: str | None = None
    document_start: int | None = None
    document_end: int | None = None
    score: float = 0.0


def verify(
    answer: str,
    documents: Documents,
    question: str | None = None,
    reader: Reader | None = None,
    threshold: float | None = None,
) -> list[Verdict]:
    """Checks which sentences of an answer the documents support.

    A sentence is supported if a document contains it, or if one document contains each of its
    quotations and numbers. Case, white space and the kind of quotation marks do not matter;
    everything else must be the same, in whole words and whole numbers. A sentence without
    quotations and numbers must stand in a document as a whole.

    - A quotation is a text of at least one word between “ ”, „ “, " ", « » or » « in one line. A
      full stop or comma at its end does not count.
    - A number is a word with a digit, such as `1,234.5`, `-3`, `5 %`, `1990s` or `5km`. Commas and
      apostrophes between groups of three digits do not count: `1,000` is `1000`. White space
      separates numbers, except before a percent sign.

    With a question, a sentence is also supported if it contains the reader's answer to the question
    from these documents. This needs a backend; without a question no model runs.

    Args:
        answer: The answer, such as the output of a language model, as plain text.
        documents: A list of texts, which are named by their positions from `"0"`, or of `Document`
            objects or mappings with `name` and `text`; a `documents.Index`; or the path of a
            folder, of a file that `Index.update` reads, or of an index. An index saves time if many
            answers have the same documents.
        question: The question that the answer is about.
        reader: A `QuestionAnswerer` that marks spans, or what `keras_qa.load` takes. `None` for
            the preset `"minilm-squad-small"`. Only with a question.
        threshold: The lowest score of the reader's answer, from 0 to 1. To fit it on validation
            data, use `reader.calibrate(index, examples).threshold(0.9)`: nine in ten of the
            reader's answers above it are right. `None` for 0 if the reader was trained on texts
            without an answer, since it then decides whether there is one, and else for 0.5. Only
            with a question.

    Returns:
        A `Verdict` for each sentence, in order.

    Raises:
        FileNotFoundError: If there is no such path.
        TypeError: If an argument has the wrong type.
        ValueError: If there are no documents, two have the same name, `threshold` is not between 0
            and 1, `reader` or `threshold` is given without a question, or `reader` does not mark
            spans.

    Warns:
        UserWarning: If files of a folder cannot be read.

    Examples:
        >>> import keras_qa
        >>> text = "The warranty is two years. The lamp costs 1,200 euros."
        >>> answer = "The lamp is sold for 1200 euros. The warranty is ten years."
        >>> found = keras_qa.verify(answer, [text])
        >>> [(one.supported, one.document, one.document_start) for one in found]
        [(True, '0', 42), (False, None, None)]
    """
    for name, given in (("answer", answer), ("question", question)):
        if not isinstance(given, str) and (given is not None or name == "answer"):
            raise TypeError(must_be(name, "a string", given))
    if question is None and (reader, threshold) != (None, None):
        raise ValueError("`reader` and `threshold` need a question. Pass `question`.")
    if threshold is not None:
        check_fraction("threshold", threshold)
    # Load the reader first: reading documents takes longer.
    loaded = None if question is None else _load_reader(reader)
    with open_documents(documents) as index:
        verdicts = _find_verbatim(answer, index)
        if loaded is not None and question is not None:
            verdicts = _add_answer(verdicts, index, question, loaded, threshold)
    return verdicts


@contextlib.contextmanager
def open_documents(documents: Documents) -> Iterator[Index]:
    """Opens the `documents` of `verify` as an index, which may be temporary, in a `with` block."""
    # Not at the top: `documents` needs SQLite, which some builds of Python lack.
    from keras_qa.documents import Index
    from keras_qa.documents.file_formats import SUFFIXES

    opened: contextlib.AbstractContextManager[Index] = _temporary_index(documents)
    if isinstance(documents, Index):
        opened = contextlib.nullcontext(documents)
    elif isinstance(documents, (str, os.PathLike)):
        path = pathlib.Path(documents).expanduser()
        if path.is_file() and path.suffix.lower() not in SUFFIXES:
            opened = Index.open(path)
    with opened as index:
        if not len(index):
            raise ValueError("`documents` must hold at least one document that can be read.")
        yield index


@contextlib.contextmanager
def _temporary_index(documents: Documents) -> Iterator[Index]:
    from keras_qa.documents import Document, Index

    with (
        tempfile.TemporaryDirectory() as folder,
        Index.create(pathlib.Path(folder, "documents.index")) as index,
    ):
        if isinstance(documents, (str, os.PathLike)):
            for name, reason in index.update(documents, verbose=0).unreadable.items():
                warnings.warn(f"Left out {name}: {reason}.", stacklevel=6)
        elif isinstance(documents, (list, tuple)):
            index.add(
                Document(str(place), entry) if isinstance(entry, str) else entry
                for place, entry in enumerate(documents)
            )
            if len(index) < len(documents):
                raise ValueError(
                    "`documents` must have different names. A text is named by its position."
                )
        else:
            expected = "a list of texts or of documents, a path, or an index"
            raise TypeError(must_be("documents", expected, documents))
        yield index


def _find_verbatim(answer: str, index: Index) -> list[Verdict]:
    """Returns the verdicts on the sentences of an answer without a reader."""
    from keras_qa.documents.verbatim import FoldedText, find_claims

    claims = find_claims(answer)
    verdicts = [Verdict(answer[one.start : one.end], one.start, one.end) for one in claims]
    for name in index.names:
        text = FoldedText(index.text(name))
        for place, (claim, one) in enumerate(zip(claims, verdicts, strict=True)):
            span = None if one.supported else text.locate(claim)
            if span is not None:
                verdicts[place] = Verdict(one.text, one.start, one.end, True, name, *span, 1.0)
    return verdicts


def _load_reader(reader: Reader | None) -> QuestionAnswerer:
    name = DEFAULT_READER if reader is None else reader
    loaded = load(name, compile=False) if isinstance(name, (str, os.PathLike)) else name
    if not isinstance(loaded, QuestionAnswerer):
        raise TypeError(must_be("reader", "a `QuestionAnswerer`, or what `load` takes", reader))
    _, preprocessor = loaded._fitted()
    if not isinstance(preprocessor, SpanPreprocessor):
        raise ValueError(f"`reader` must mark spans, but this model {preprocessor.description}.")
    return loaded


def _add_answer(
    verdicts: list[Verdict],
    index: Index,
    question: str,
    reader: QuestionAnswerer,
    threshold: float | None,
) -> list[Verdict]:
    """Changes the verdicts on sentences that contain the reader's answer to the question."""
    from keras_qa.documents.verbatim import FoldedText, fold

    _, preprocessor = reader._fitted()
    assert isinstance(preprocessor, SpanPreprocessor)
    no_answer = preprocessor.decoder.no_answer
    if preprocessor.asking is not None:
        no_answer = bool(preprocessor.asking.options.get("no_answer", no_answer))
    if threshold is None:
        threshold = 0.0 if no_answer else THRESHOLD
    found = reader.ask(index, question, no_answer=no_answer, verbose=0)
    is_accepted = found.score >= threshold
    source = (True, found.document, found.start, found.end) if is_accepted else ()
    return [
        Verdict(one.text, one.start, one.end, *source, score=found.score)
        if found.text and not one.supported and any(FoldedText(one.text).find(fold(found.text)))
        else one
        for one in verdicts
    ]
