"""`KerasReader`, the component for Haystack."""

import inspect
import logging
import pathlib

import numpy as np
import pytest
from haystack import Document, ExtractedAnswer, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy

import keras_qa
from keras_qa import Example
from keras_qa.integrations.haystack import KerasReader
from keras_qa.preprocessing import SpanDecoder, SpanPreprocessor

QUERY = "Where is Mary?"
DOCUMENTS = [
    Document(content="A line.\n\n\nMary moved to the bathroom.", meta={"name": "one"}),
    Document(content="John and Mary went there.", meta={"name": "two", "page_number": 3}),
    Document(content="Once more.\fMary went to\fthe hallway.", meta={"page_number": 7}),
]
TALKS = [
    Document(content="Ferries cross the Oslo fjord every hour from the town hall pier."),
    Document(content="The warranty of the drill is two years from the day of purchase."),
    Document(content="Ada Lovelace wrote the first program, for Babbage's engine, in 1843."),
]
# Arguments of Haystack's own reader after `model`.
NAMES = ["top_k", "score_threshold", "max_seq_length", "stride", "max_batch_size"]
NAMES += ["answers_per_seq", "no_answer", "overlap_threshold"]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    """A small reader with a probability of no answer below 1."""
    qa = keras_qa.load(pathlib.Path(__file__).parents[1] / "golden" / "reader.keras")
    qa.model_.preprocessor = SpanPreprocessor(
        qa.model_.preprocessor.vectorizer, SpanDecoder(4, True, 1.0, 1.5)
    )
    path = tmp_path_factory.mktemp("reader") / "qa.keras"
    qa.save(path)
    return str(path)


@pytest.fixture(scope="module")
def reader(path) -> KerasReader:
    return KerasReader(path)


@pytest.fixture(scope="module")
def masses(path) -> dict:
    """The probability of each span of each document, and of no answer (`None`)."""
    qa = keras_qa.load(path)
    preprocessor = qa.model_.preprocessor
    windows = preprocessor.vectorizer([Example(document.content, QUERY) for document in DOCUMENTS])
    outputs = qa.model_.predict(dict(windows.feed), verbose=0)
    assert len(windows) == len(DOCUMENTS)
    found, lowest = {}, np.inf
    for row in range(len(DOCUMENTS)):
        start, end, words = outputs["start"][row], outputs["end"][row], windows.words[row]
        lowest = min(lowest, start[0] + end[0])
        there = np.flatnonzero(words[:, 0] >= 0)
        for first in there:
            for last in there[there >= first][:4]:
                place = (row, int(words[first, 0]), int(words[last, 1]))
                found[place] = np.exp(float(start[first] + end[last]) / 1.5)
    found[None] = np.exp(lowest / 1.5)
    total = sum(found.values())
    return {place: float(mass / total) for place, mass in found.items()}


def kept(masses: dict, threshold: float | None) -> list[tuple]:
    """Spans whose overlap with each better span of the same document is at most the threshold."""
    places: list[tuple] = []
    for place in sorted((place for place in masses if place), key=lambda place: -masses[place]):
        characters = set(range(*place[1:]))
        shares = [
            len(characters & set(range(*other[1:]))) / min(len(characters), other[2] - other[1])
            for other in places
            if other[0] == place[0]
        ]
        if threshold is None or all(share <= threshold for share in shares):
            places.append(place)
    return places


def place(answer: ExtractedAnswer, documents: list[Document] = DOCUMENTS) -> tuple | None:
    if answer.data is None:
        assert (answer.document, answer.document_offset, answer.meta) == (None, None, {})
        return None
    number = next(n for n, each in enumerate(documents) if each is answer.document)
    offset = answer.document_offset
    assert documents[number].content[offset.start : offset.end] == answer.data
    return number, offset.start, offset.end


@pytest.mark.parametrize("threshold", [0.01, 0.3, 1.0, None])
def test_scores_are_normalized_over_all_documents(reader, masses, threshold) -> None:
    assert sum(masses.values()) == pytest.approx(1.0)
    # Ask for all spans.
    some = KerasReader(reader.model, overlap_threshold=threshold, top_k=999)
    answers = some.run(QUERY, DOCUMENTS)["answers"]
    assert all(type(answer) is ExtractedAnswer and answer.query == QUERY for answer in answers)
    expected = [*kept(masses, threshold), None]
    assert sorted(map(str, map(place, answers))) == sorted(map(str, expected))
    scores = [answer.score for answer in answers]
    assert scores == pytest.approx([masses[place(answer)] for answer in answers], rel=1e-4)
    assert scores == sorted(scores, reverse=True)
    assert all(type(score) is float for score in scores)
    if threshold is None:
        assert len(answers) == len(masses)
        assert sum(scores) == pytest.approx(1.0)


def test_top_k_and_thresholds(reader, masses) -> None:
    best = kept(masses, 0.01)
    for top_k in (1, 2):
        answers = reader.run(QUERY, DOCUMENTS, top_k=top_k)["answers"]
        # No answer does not count for `top_k`.
        assert {place(answer) for answer in answers} == {*best[:top_k], None}
    least = masses[best[1]] * 0.9999
    answers = reader.run(QUERY, DOCUMENTS, score_threshold=least)["answers"]
    sure = {spot for spot in (*best, None) if masses[spot] >= least}
    assert {place(answer) for answer in answers} == sure
    assert reader.run(QUERY, DOCUMENTS, score_threshold=1.0)["answers"] == []
    # Arguments of `run` override those of the constructor.
    strict = KerasReader(reader.model, top_k=1, score_threshold=1.0, overlap_threshold=None)
    assert strict.run(QUERY, DOCUMENTS)["answers"] == []
    again = strict.run(QUERY, DOCUMENTS, top_k=3, score_threshold=0, overlap_threshold=0.01)
    assert [place(a) for a in again["answers"] if a.data] == best[:3]


def test_scores_without_no_answer(reader, masses) -> None:
    answers = reader.run(QUERY, DOCUMENTS, no_answer=False)["answers"]
    best = kept(masses, 0.01)
    assert [place(answer) for answer in answers] == best[: len(answers)]
    assert len(answers) == min(20, len(best))
    scores = [masses[each] / (1 - masses[None]) for each in best]
    assert [a.score for a in answers] == pytest.approx(scores[: len(answers)], rel=1e-4)


def test_options_of_windows(path, reader) -> None:
    """With several windows per document, and several windows per step."""
    qa = keras_qa.load(path)
    options = {"max_length": 6, "stride": 2, "max_question_length": 3}
    preprocessor = qa.model_.preprocessor.with_options(qa.model_, **options)
    example = Example([document.content for document in DOCUMENTS], QUERY)
    [expected] = preprocessor.answer_from_passages(qa.model_, [example], 999, 32)
    answers = KerasReader(
        path,
        overlap_threshold=None,
        top_k=999,
        max_seq_length=6,
        stride=2,
        max_query_length=3,
        max_batch_size=2,
    ).run(QUERY, DOCUMENTS)["answers"]
    assert [answer.data or "" for answer in answers] == [answer.text for answer in expected]
    scores = [answer.score for answer in answers]
    assert scores == pytest.approx([answer.score for answer in expected], rel=1e-4)
    whole = reader.run(QUERY, DOCUMENTS)["answers"]
    [none], [other] = ([a.score for a in row if a.data is None] for row in (answers, whole))
    assert none != pytest.approx(other, rel=1e-3)


def test_page_numbers(reader) -> None:
    answers = reader.run(QUERY, DOCUMENTS, top_k=99)["answers"]
    seen = set()
    for answer in answers:
        spot = place(answer)
        if spot is None or spot[0] == 0:
            assert answer.meta == {}
        elif spot[0] == 1:
            assert answer.meta == {"answer_page_number": 3}
        else:
            pages = 7 + (spot[1] > 10) + (spot[1] > 23)
            assert answer.meta == {"answer_page_number": pages}
            seen.add(pages)
    assert seen == {7, 8, 9}
    # The documents of the caller are not changed.
    assert DOCUMENTS[1].meta == {"name": "two", "page_number": 3}
    odd = Document(content="Mary is here.", meta={"page_number": "iv"})
    assert reader.run(QUERY, [odd], top_k=1, no_answer=False)["answers"][0].meta == {}


def test_documents_without_text(reader, caplog) -> None:
    empty = [Document(content=None, id="bare"), Document(content=""), Document(content=" \n")]
    assert reader.run(QUERY, []) == {"answers": []}
    with caplog.at_level(logging.WARNING):
        (none,) = reader.run(QUERY, empty)["answers"]
    assert (none.data, none.score) == (None, 1.0)
    (record,) = [r for r in caplog.records if r.name == "keras_qa.integrations.haystack"]
    assert record.getMessage() == "The document with the id bare has no content, and is skipped."
    assert reader.run(QUERY, empty, no_answer=False)["answers"] == []
    mixed = [empty[0], DOCUMENTS[0], empty[1], *DOCUMENTS[1:], empty[2]]
    assert reader.run(QUERY, mixed) == reader.run(QUERY, DOCUMENTS)
    # A text without words.
    marks = reader.run(QUERY, [Document(content="…")])["answers"]
    assert sum(answer.score for answer in marks) == pytest.approx(1.0)


def test_repeated_documents_are_read_once(reader) -> None:
    same = Document(content=DOCUMENTS[0].content, meta={"name": "one"})
    assert same.id == DOCUMENTS[0].id
    twice = reader.run(QUERY, [*DOCUMENTS, same, DOCUMENTS[1]])["answers"]
    assert twice == reader.run(QUERY, DOCUMENTS)["answers"]
    # Two documents with the same text and different metadata are different documents.
    other = Document(content=DOCUMENTS[0].content, meta={"name": "other"})
    answers = reader.run(QUERY, [DOCUMENTS[0], other], no_answer=False)["answers"]
    assert [answer.document.meta["name"] for answer in answers[:2]] == ["one", "other"]
    assert answers[0].score == pytest.approx(answers[1].score)
    # So are two texts with the same id.
    texts = [Document(id="x", content=each.content) for each in DOCUMENTS[:2]]
    found = reader.run(QUERY, texts, top_k=99)["answers"]
    assert {place(a, texts)[0] for a in found if a.data} == {0, 1}


def test_empty_query(reader) -> None:
    answers = reader.run("", DOCUMENTS, overlap_threshold=None, answers_per_seq=99)["answers"]
    assert 0 < sum(answer.score for answer in answers) <= 1.0001


def test_signature_of_haystacks_reader() -> None:
    for function in (KerasReader.__init__, KerasReader.run):
        given = inspect.signature(function).parameters
        assert [name for name in given if name in NAMES] == NAMES
    assert list(inspect.signature(KerasReader.run).parameters)[1:3] == ["query", "documents"]
    assert list(inspect.signature(KerasReader.__init__).parameters)[1:2] == ["model"]
    defaults = KerasReader().to_dict()["init_parameters"]
    given = {"top_k": 20, "no_answer": True, "overlap_threshold": 0.01}
    assert {name: value for name, value in defaults.items() if value is not None} == {
        "model": "minilm-squad",
        **given,
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("top_k", 0, "`top_k` must be a positive integer. Received: top_k=0."),
        ("top_k", True, "`top_k` must be a positive integer. Received: top_k=True."),
        ("max_seq_length", 1.5, "`max_seq_length` must be a positive integer. Received: max_"),
        ("stride", -1, "`stride` must be a non-negative integer. Received: stride=-1."),
        ("max_batch_size", 0, "`max_batch_size` must be a positive integer. Received: max_ba"),
        ("answers_per_seq", 0, "`answers_per_seq` must be a positive integer. Received: answ"),
        ("max_query_length", 0, "`max_query_length` must be a positive integer. Received: ma"),
        ("score_threshold", 1.1, "`score_threshold` must be between 0 and 1. Received: score_thr"),
        ("overlap_threshold", -1, "`overlap_threshold` must be between 0 and 1. Received: overlap"),
        ("no_answer", 1, "`no_answer` must be `True` or `False`. Received: no_answer=1."),
    ],
)
def test_arguments_out_of_range(reader, name, value, message) -> None:
    for call in (
        lambda: KerasReader(**{name: value}),
        lambda: reader.run(QUERY, DOCUMENTS, **{name: value}),
    ):
        with pytest.raises(ValueError, match="^`") as caught:
            call()
        assert str(caught.value).startswith(message)


def test_wrong_types(reader) -> None:
    # An argument of Haystack's own reader that this one does not have.
    with pytest.raises(TypeError, match="'calibration_factor'"):
        KerasReader(calibration_factor=0.1)
    with pytest.raises(TypeError, match=r"^`query` must be a string\. Received: None\.$"):
        reader.run(None, DOCUMENTS)
    for documents in (DOCUMENTS[0], [DOCUMENTS[0], "Mary is here."]):
        with pytest.raises(
            TypeError, match=r"^`documents` must be a list of Haystack's `Document`"
        ):
            reader.run(QUERY, documents)


def test_invalid_readers(tmp_path) -> None:
    golden = pathlib.Path(__file__).parents[1] / "golden" / "classifier.keras"
    with pytest.raises(
        ValueError, match=r"^`model` must be a trained reader of spans\. `.*` holds"
    ):
        KerasReader(golden).warm_up()
    with pytest.raises(FileNotFoundError, match=r"nothing\.keras"):
        KerasReader(tmp_path / "nothing.keras").run(QUERY, DOCUMENTS)


def pipeline(reader: KerasReader, documents: list[Document]) -> Pipeline:
    store = InMemoryDocumentStore()
    store.write_documents(documents)
    made = Pipeline()
    made.add_component("retriever", InMemoryBM25Retriever(store, top_k=3))
    made.add_component("reader", reader)
    made.connect("retriever.documents", "reader.documents")
    return made


def test_save_and_load_a_pipeline(path) -> None:
    settings = {"top_k": 2, "stride": 4, "max_seq_length": 16, "no_answer": False}
    first = pipeline(KerasReader(pathlib.Path(path), **settings), DOCUMENTS)
    text = first.dumps()
    data = first.to_dict()["components"]["reader"]
    assert data["type"] == "keras_qa.integrations.haystack.KerasReader"
    assert data["init_parameters"] == {
        "model": path,
        "score_threshold": None,
        "max_batch_size": None,
        "answers_per_seq": None,
        "overlap_threshold": 0.01,
        "max_query_length": None,
        **settings,
    }
    # Since Haystack 3, `loads` needs the names of other packages.
    named = "allowed_modules" in inspect.signature(Pipeline.loads).parameters
    allowed = {"allowed_modules": ["keras_qa.integrations.*"]} if named else {}
    second = Pipeline.loads(text, **allowed)
    assert second.dumps() == text
    # The documents of the store are not saved.
    store = second.get_component("retriever").document_store
    store.write_documents(DOCUMENTS, DuplicatePolicy.OVERWRITE)
    inputs = {"retriever": {"query": QUERY}, "reader": {"query": QUERY}}
    found, again = (each.run(inputs)["reader"]["answers"] for each in (first, second))
    assert len(found) == 2
    assert found == again
    assert KerasReader.from_dict(data).to_dict() == data


def test_preset_in_a_pipeline() -> None:
    """BM25 in memory and the default reader."""
    reader = KerasReader(top_k=2)
    asked = pipeline(reader, TALKS)
    for query, data, document in (
        ("How long is the warranty of the drill?", "two years", TALKS[1]),
        ("Who wrote the first program?", "Ada Lovelace", TALKS[2]),
    ):
        inputs = {"retriever": {"query": query}, "reader": {"query": query}}
        answers = asked.run(inputs)["reader"]["answers"]
        best = answers[0]
        assert (best.data, best.document.id, best.query) == (data, document.id, query)
        assert len(answers) == 3
        assert best.score > 0.5 > answers[1].score
    # The probability of no answer does not depend on the number of spans.
    best, none = reader.run(query, TALKS[2:], top_k=1, answers_per_seq=1)["answers"]
    assert (best.data, none.data) == (data, None)
    assert 0 < none.score < 1 - best.score
