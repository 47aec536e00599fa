"""`verify`: checks the sentences of an answer against documents."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pathlib
import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from keras_qa._arguments import check_fraction, must_be, short_repr
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.document_answers import AnyReranker, open_ranker
from keras_qa.answering.loading import load
from keras_qa.answering.opening import (
    DEFAULT_CHECKER,
    DEFAULT_RANKER,
    DEFAULT_READER,
    is_default,
    open_model,
)
from keras_qa.answering.unsupported_spans import find_unsupported_spans
from keras_qa.preprocessing.preprocessor import TOKENS

if TYPE_CHECKING:
    from keras_qa.answering.claim_checker import Models
    from keras_qa.answering.claim_features import Evidence
    from keras_qa.documents import Document, Index
    from keras_qa.models import QAModel

Documents: TypeAlias = (
    "Sequence[str | Document | Mapping[str, str]] | str | os.PathLike[str] | Index"
)
Reader: TypeAlias = "QuestionAnswerer | QAModel | str | os.PathLike[str]"

# A sentence that begins with one of these continues the sentence before.
_PRONOUN = re.compile(r"(it|they|he|she|this|that|these|those|its|their|his|her)\b", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A sentence or span of an answer, and what the documents say about it.

    `start` and `end` are character offsets in the answer, `document_start` and `document_end` those
    of the evidence in the document's text. Without evidence they are `None`, as are `document`,
    `line`, `end_line`, `page` and `instead`. Lines and pages count from 1.

    Args:
        text: The sentence.
        outcome: `"supported"`, `"contradicted"` or `"not found"`.
        score: Probability that the documents support the sentence, or the score of the reader's
            answer to the question. Of a classifier of tokens, the probability that the span is
            unsupported.
        instead: What the source says instead of a number or a name of a contradicted sentence, or
            the sentences that say the opposite.
    """

    text: str
    start: int
    end: int
    outcome: str = "not found"
    score: float = 0.0
    document: str | None = None
    document_start: int | None = None
    document_end: int | None = None
    line: int | None = None
    end_line: int | None = None
    page: int | None = None
    instead: str | None = None

    @property
    def supported(self) -> bool:
        """Whether the documents support the sentence."""
        return self.outcome == "supported"


def verify(
    answer: str,
    documents: Documents,
    question: str | None = None,
    reader: Reader | None = DEFAULT_READER,
    threshold: float = 0.5,
    ranker: AnyReranker | None = DEFAULT_RANKER,
    checker: AnyReranker | None = DEFAULT_CHECKER,
) -> list[Verdict]:
    """Checks which sentences of an answer the documents support.

    The documents are searched for each sentence. Its numbers, names, quotations and identifiers
    are compared with those of the sentences that the ranker prefers, and the reader is asked for
    each number and name. A logistic regression turns this into the probability of support. A
    sentence that a document contains in the same words, or that contains the reader's answer to the
    question, is supported. A classifier of tokens in the input format of LettuceDetect finds
    unsupported spans instead.

    Args:
        answer: The answer, such as the output of a language model, as plain text.
        documents: A list of texts, which are named by their positions from `"0"`, or of what
            `Index.add` takes; a `documents.Index`; or the path of a folder or a file, as in
            `Index.update`, or of an index.
        question: The question that the answer is about.
        reader: A `QuestionAnswerer` that marks spans, or what `keras_qa.load` takes. Or a
            `models.text_classifier` of tokens with the labels 0 for supported and 1 for
            unsupported, or its folder or `hf://owner/name`. `None` to compare only words and
            numbers, which needs no backend. The three default models are loaded once in a process,
            and other names in each call.
        threshold: The lowest probability of support, from 0 to 1, and the lowest score of the
            reader's answer to the question. Of a classifier of tokens, the lowest score of an
            unsupported span.
        ranker: An `answering.Reranker`, or what `keras_qa.load` takes, that chooses the sentences a
            sentence is compared with. `None` to choose them by words, as without a reader.
        checker: As `ranker`, a model whose logits say how well a text supports a claim. `None` to
            do without it, as without a reader.

    Returns:
        A `Verdict` for each sentence, or for each unsupported span, in order.

    Raises:
        FileNotFoundError: If there is no such path.
        TypeError: If an argument has the wrong type.
        ValueError: If there are no documents, two have the same name, `threshold` is out of its
            range, or `reader` cannot be used.

    Examples:
        >>> import keras_qa
        >>> text = "The warranty is two years. The lamp costs 1,200 euros."
        >>> answer = "The lamp is sold for 1200 euros. The warranty is ten years."
        >>> verdicts = keras_qa.verify(answer, [text], reader=None)
        >>> [(item.outcome, item.document, item.line, item.instead) for item in verdicts]
        [('supported', '0', 1, None), ('contradicted', '0', 1, 'The warranty is two years.')]
    """
    for name, value in (("answer", answer), ("question", "" if question is None else question)):
        if not isinstance(value, str):
            raise TypeError(must_be(name, "a string", value))
    check_fraction("threshold", threshold)
    if question is not None and reader is None:
        raise ValueError("A `question` needs a reader. Pass `reader`, or leave `question` out.")
    # Not at the top: it needs SQLite, which some builds of Python lack.
    from keras_qa.answering.claim_checker import Models

    # Load the models first: reading documents takes longer.
    model = None if reader is None else _load_reader(reader)
    models = Models()
    if isinstance(model, QuestionAnswerer):
        models = Models(
            model,
            open_ranker(ranker, "ranker"),
            open_ranker(checker, "checker"),
        )
    with open_documents(documents) as index:
        if not len(index):
            raise ValueError("`documents` must hold at least one document that can be read.")
        if model is not None and not isinstance(model, QuestionAnswerer):
            texts = [index.visible_text(name).text for name in index.names]
            spans = find_unsupported_spans(model, answer, texts, question)
            return [
                Verdict(answer[start:end], start, end, score=score)
                for start, end, score in spans
                if score >= threshold
            ]
        return _check_sentences(answer, index, models, threshold, question)


@contextlib.contextmanager
def open_documents(documents: Documents) -> Iterator[Index]:
    """Opens the index of documents as `verify` takes them, or makes one."""
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


def _check_sentences(
    answer: str,
    index: Index,
    models: Models,
    threshold: float,
    question: str | None,
) -> list[Verdict]:
    """Returns verdicts on the sentences of an answer that have a word."""
    from keras_qa.answering.claim_checker import check_claims
    from keras_qa.documents.facts import contains, sentences

    spans = [span for span in sentences(answer) if re.search(r"\w", answer[slice(*span)])]
    claims = [answer[start:end] for start, end in spans]
    # A pronoun refers to the sentence before, or to the question.
    before = [question or "", *claims]
    queries = [
        f"{context} {claim}" if _PRONOUN.match(claim) else claim
        for context, claim in zip(before, claims, strict=False)
    ]
    evidences = check_claims(claims, queries, index, models)
    read = None
    if models.reader is not None and question is not None:
        read = models.reader.ask(
            index, question, min_score=threshold, ranker=None, verbose=0, boxes=False
        )
    verdicts = []
    for (start, end), claim, evidence in zip(spans, claims, evidences, strict=True):
        verdict = Verdict(claim, start, end)
        if evidence is not None:
            verdict = _judge(verdict, evidence, threshold)
        if (
            read is not None
            and read.start is not None
            and verdict.outcome != "contradicted"
            and verdict.score < read.score
            and contains(claim, read.text)
        ):
            location = (read.document, read.start, read.end, read.line, read.line, read.page)
            verdict = Verdict(claim, start, end, "supported", read.score, *location)
        verdicts.append(verdict)
    return verdicts


def _judge(verdict: Verdict, evidence: Evidence, threshold: float) -> Verdict:
    """Adds the outcome, and the place of the evidence if it decided."""
    outcome = "supported" if evidence.score >= threshold else "contradicted"
    if outcome == "contradicted" and evidence.instead is None:
        return dataclasses.replace(verdict, score=evidence.score)
    passage = evidence.passage
    start, end = passage.span(evidence.start, evidence.end)
    line, page = passage.locate(start)
    return dataclasses.replace(
        verdict,
        outcome=outcome,
        score=evidence.score,
        document=passage.document,
        document_start=start,
        document_end=end,
        line=line,
        end_line=passage.locate(end)[0],
        page=page,
        instead=None if outcome == "supported" else evidence.instead,
    )


@functools.cache
def _load_default_reader() -> QuestionAnswerer:
    # `verify` is called for each answer, and loading takes longer than checking.
    return load(DEFAULT_READER, compile=False)


def _load_reader(reader: Reader) -> QuestionAnswerer | QAModel:
    loaded: Any = _load_default_reader() if is_default(reader, DEFAULT_READER) else reader
    if isinstance(loaded, (str, os.PathLike)):
        opened = open_model(loaded, compile=False)
        if _classifies_tokens(opened.model):
            return opened.model
        loaded = QuestionAnswerer._from_opened(opened, os.fspath(loaded))
    if isinstance(loaded, QuestionAnswerer):
        model, preprocessor = loaded._fitted()
        # Raise if it answers otherwise than with spans.
        preprocessor.for_documents(model, {})
        return loaded
    if _classifies_tokens(loaded):
        return loaded
    expected = "a `QuestionAnswerer`, a classifier of tokens, the name of one, or None"
    raise TypeError(must_be("reader", expected, reader))


def open_classifier(name: str | os.PathLike[str], loaded: Any) -> QAModel | None:
    """Returns the classifier of tokens of which `load` made a reader, or `None` for other models.

    Its preprocessor makes pairs instead of windows, as `verify` needs it.
    """
    is_reader = getattr(loaded.model_.preprocessor, "name", None) == "tokens"
    model = open_model(name, compile=False).model if is_reader else None
    return model if _classifies_tokens(model) else None


def _classifies_tokens(model: Any) -> bool:
    """Whether a model classifies the tokens of pairs, rather than reads texts in windows."""
    preprocessor = getattr(model, "preprocessor", None)
    reads = preprocessor is not None and preprocessor.answers_questions
    return getattr(model, "task", None) == TOKENS and not reads
