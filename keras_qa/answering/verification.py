"""`verify`: checks the sentences of an answer against documents."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from keras_qa import metrics
from keras_qa._arguments import check_fraction, must_be, short_repr
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.loading import DEFAULT_READER, load
from keras_qa.decoding.selective import CONFIDENCE, precision_thresholds
from keras_qa.example import Answer, Example, is_frame, to_examples
from keras_qa.preprocessing import SpanPreprocessor

if TYPE_CHECKING:
    from keras_qa.documents import Document, Index

# What `verify` reads: texts, a path, or an index.
Documents: TypeAlias = (
    "Iterable[str | Document | Mapping[str, str]] | str | os.PathLike[str] | Index"
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


@dataclasses.dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Args:
        verdicts: A `Verdict` for each sentence of the answer, in order.
    """

    verdicts: tuple[Verdict, ...]

    @property
    def supported(self) -> float:
        """Share of supported sentences, between 0 and 1. 1 if the answer has no sentence."""
        flags = [verdict.supported for verdict in self.verdicts]
        return sum(flags) / len(flags) if flags else 1.0


def verify(
    answer: str,
    documents: Documents,
    question: str | None = None,
    reader: Reader | None = None,
    threshold: float | None = None,
) -> Verification:
    """Checks which sentences of an answer the documents support.

    A sentence is supported if a document contains it, or if one document contains each of its
    quotations and numbers. Case, white space and the kind of quotation marks do not matter;
    everything else must be the same, in whole words and whole numbers. A sentence without
    quotations and numbers must stand in a document as a whole.

    - A quotation is a text of at least one word between “ ”, „ “, " ", « », » « or ‘ ’ in one line.
      A full stop or comma at its end does not count.
    - A number is a word with a digit, such as `1,234.5`, `-3`, `5 %`, `1990s` or `5km`. Commas and
      apostrophes between groups of three digits do not count: `1,000` is `1000`. White space
      separates numbers, except before a percent sign.

    With a question, a sentence is also supported if it contains the reader's answer to the question
    from these documents. This needs a backend; without a question no model runs.

    Args:
        answer: The answer, such as the output of a language model, as plain text.
        documents: A list of texts, or of what `Index.add` takes, such as mappings with the keys
            `name` and `text`; a `documents.Index`; or the path of a folder, of a file that
            `Index.update` reads, or of an index. A text's name is its position in the list, from
            `"0"`. An index saves time if many answers have the same documents.
        question: The question that the answer is about.
        reader: A `QuestionAnswerer` that marks spans, or what `keras_qa.load` takes. `None` for
            the preset `"minilm-squad-small"`. Only with a question.
        threshold: The lowest score of the reader's answer, see `fit_threshold`. `None` to follow
            the reader: it decides whether there is an answer if it was trained on texts without
            one; otherwise 0.5. Only with a question.

    Returns:
        A `Verification`, with a `Verdict` for each sentence.

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
        >>> [(one.supported, one.document, one.document_start) for one in found.verdicts]
        [(True, '0', 42), (False, None, None)]
        >>> found.supported
        0.5
    """
    for name, given in (("answer", answer), ("question", question)):
        if not isinstance(given, str) and (given is not None or name == "answer"):
            raise TypeError(must_be(name, "a string", given))
    if question is None and (reader, threshold) != (None, None):
        raise ValueError("`reader` and `threshold` need a question. Pass `question`.")
    if threshold is not None:
        check_fraction("threshold", threshold)
    if question is None and not isinstance(documents, (str, os.PathLike)):
        # A list of texts needs no index.
        return Verification(tuple(_find_verbatim(answer, _each_document(documents))))
    # Load the reader first: reading documents takes longer.
    loaded = None if question is None else _load_reader(reader)
    with open_documents(documents) as index:
        verdicts = _find_verbatim(answer, _each_document(index))
        if loaded is not None and question is not None:
            best, is_accepted = _read(loaded, index, [question], threshold)[0]
            for place, one in enumerate(verdicts):
                if best is None or one.supported or not _contains(one.text, best.text):
                    continue
                verdicts[place] = dataclasses.replace(one, score=best.score)
                if is_accepted:
                    source = best.document, best.start, best.end, best.score
                    verdicts[place] = Verdict(one.text, one.start, one.end, True, *source)
    return Verification(tuple(verdicts))


def fit_threshold(
    examples: Iterable[Example | Mapping[str, Any]],
    documents: Documents,
    reader: Reader | None = None,
    min_precision: float = 0.9,
) -> float:
    """Fits the `threshold` of `verify` on questions with right and wrong answers.

    Args:
        examples: Questions. `choices` has the answers to verify, and `answers` those of them that
            are right. Their texts are not used. Pass several hundred, and none of a test set.
        documents: As in `verify`.
        reader: As in `verify`.
        min_precision: The share of right answers among those that the reader supports, above 0 and
            at most 1.

    Returns:
        The lowest score above which this share is reached with a confidence of 0.9, as in
        `QuestionAnswerer.calibrate`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If no choice is wrong, no score reaches this precision, or an argument is wrong
            as in `verify`.

    Examples:
        >>> import keras_qa
        >>> texts = [f"Room {number} has {number + 2} windows." for number in range(6)]
        >>> examples = [
        ...     {
        ...         "text": "",
        ...         "question": f"How many windows has room {number}?",
        ...         "answers": [f"It has {number + 2} windows."],
        ...         "choices": [f"It has {number + 2} windows.", f"It has {number + 3} windows."],
        ...     }
        ...     for number in range(6)
        ... ]
        >>> 0 <= keras_qa.answering.fit_threshold(examples, texts, min_precision=0.5) < 1
        True
    """
    check_fraction("min_precision", min_precision)
    data = to_examples(examples)
    choices = [(place, choice) for place, item in enumerate(data) for choice in item.choices]
    is_right = [
        bool(data[place].answers) and metrics.exact_match(choice, data[place].answers) == 1
        for place, choice in choices
    ]
    if all(is_right):
        raise ValueError("`examples` must have wrong answers among their `choices`.")
    loaded = _load_reader(reader)
    with open_documents(documents) as index:
        read = _read(loaded, index, [item.question for item in data], 0.0)
    scores, correct = [], []
    for (place, choice), right in zip(choices, is_right, strict=True):
        best, _ = read[place]
        if best is not None and _contains(choice, best.text):
            scores.append(best.score)
            correct.append(right)
    precisions, thresholds = precision_thresholds(scores, correct)
    reached = thresholds[precisions >= min_precision]
    if not len(reached):
        raise ValueError(
            f"`min_precision` is {min_precision:g}, but the examples support at most "
            f"{precisions.max(initial=0.0):.3f}, with a confidence of {CONFIDENCE:g}. Use a lower "
            "value, or more examples."
        )
    return float(reached[0])


@contextlib.contextmanager
def open_documents(documents: Documents) -> Iterator[Index]:
    """Opens the `documents` of `verify` as an index, which may be temporary, in a `with` block."""
    # Not at the top: `documents` needs SQLite, which some builds of Python lack.
    from keras_qa.documents import Index
    from keras_qa.documents.file_formats import SUFFIXES

    with contextlib.ExitStack() as stack:
        if isinstance(documents, Index):
            index = documents
        elif isinstance(documents, (str, os.PathLike)):
            path = pathlib.Path(documents).expanduser()
            if not path.exists():
                raise FileNotFoundError(f"There is no folder, file or index {str(path)!r:.80}.")
            if path.is_dir() or path.suffix.lower() in SUFFIXES:
                index = stack.enter_context(_temporary_index())
                for name, reason in index.update(path, verbose=0).unreadable.items():
                    warnings.warn(f"Left out {name}: {reason}.", stacklevel=4)
            else:
                index = stack.enter_context(Index.open(path))
        else:
            index = stack.enter_context(_temporary_index())
            index.add(_each_document(documents))
        yield index


def _each_document(documents: Documents) -> Iterator[Document]:
    """Yields the `documents` of `verify`, other than those of a path. Raises if there are none."""
    from keras_qa.documents import Document, Index
    from keras_qa.documents.document import to_documents

    if isinstance(documents, Index):
        names = documents.names
        found = (Document(name, documents.text(name)) for name in names)
    elif isinstance(documents, Iterable) and not isinstance(documents, (bytes, Mapping)):
        entries: Any = documents
        if not is_frame(documents):
            entries = [
                Document(str(place), entry) if isinstance(entry, str) else entry
                for place, entry in enumerate(documents)
            ]
        entries = list(to_documents(entries))
        names, found = [one.name for one in entries], iter(entries)
    else:
        expected = "a list of texts or of documents, a path, or an index"
        raise TypeError(must_be("documents", expected, documents))
    if len(set(names)) < max(len(names), 1):
        raise ValueError(
            "`documents` must hold at least one document, and different names. Received the names: "
            f"{short_repr(names)}."
        )
    yield from found


@contextlib.contextmanager
def _temporary_index() -> Iterator[Index]:
    from keras_qa.documents import Index

    with (
        tempfile.TemporaryDirectory() as folder,
        Index.create(pathlib.Path(folder, "documents.index")) as index,
    ):
        yield index


def _find_verbatim(answer: str, documents: Iterable[Document]) -> list[Verdict]:
    """Returns the verdicts on the sentences of an answer without a reader."""
    from keras_qa.documents.verbatim import FoldedText, find_claims

    claims = find_claims(answer)
    verdicts = [Verdict(answer[one.start : one.end], one.start, one.end) for one in claims]
    # Sentences that no document so far contains as a whole.
    waiting = set(range(len(claims)))
    for document in documents:
        if not waiting:
            break
        text = FoldedText(document.text)
        for place in sorted(waiting):
            span, is_whole = text.locate(claims[place])
            one = verdicts[place]
            if span is not None and (is_whole or not one.supported):
                source = document.name, *span, 1.0
                verdicts[place] = Verdict(one.text, one.start, one.end, True, *source)
            if is_whole:
                waiting.remove(place)
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


def _read(
    reader: QuestionAnswerer, index: Index, questions: list[str], threshold: float | None
) -> list[tuple[Answer | None, bool]]:
    """Returns the best span for each question, and whether its score is high enough."""
    _, preprocessor = reader._fitted()
    assert isinstance(preprocessor, SpanPreprocessor)
    no_answer = preprocessor.decoder.no_answer
    if preprocessor.asking is not None:
        no_answer = bool(preprocessor.asking.options.get("no_answer", no_answer))
    found: list[tuple[Answer | None, bool]] = []
    for answers in reader.ask(index, questions, top_k=2, no_answer=no_answer, verbose=0):
        best = next((one for one in answers if one.start is not None), None)
        if threshold is None and no_answer:
            found.append((best, answers[0] is best))
        else:
            least = THRESHOLD if threshold is None else threshold
            found.append((best, best is not None and best.score >= least))
    return found


def _contains(sentence: str, part: str) -> bool:
    """Whether a sentence contains a text verbatim."""
    from keras_qa.documents.verbatim import FoldedText

    return any(FoldedText(sentence).find(FoldedText(part).text))
