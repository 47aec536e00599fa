"""`verify` without models: words and numbers are compared. It needs no backend."""

import dataclasses
import pathlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreters import BACKENDS, python

import keras_qa
from keras_qa.documents import Document, Index
from keras_qa.text.sentence_splitting import sentence_spans

LAMP = 'The “Aurora” lamp costs\n 1,200 euros. It grew by 12.5 % in 1990.\nIt’s made in "Old Town".'


def outcome(answer: str, *texts: str) -> str:
    (verdict,) = keras_qa.verify(answer, texts, reader=None)
    assert verdict.supported == (verdict.outcome == "supported")
    return verdict.outcome


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # A whole sentence, in another case, with other white space and quotation marks.
        ("it grew BY 12.5\t%  in 1990.", "supported"),
        ("The »aurora« lamp costs 1,200 euros.", "supported"),
        ("It's made in “old town”.", "supported"),
        ("It grew by 12.5 % in 1990", "supported"),
        # Numbers and names in other words.
        ("The price of the lamp is 1200 euros.", "supported"),
        ("It increased by 12.5 percent in 1990.", "supported"),
        ("The price of the lamp is 1300 euros.", "contradicted"),
        ("It grew by 15 % in 1990.", "contradicted"),
        ("It grew by 12.5 % in 1991.", "not found"),
        ("The lamp costs 1,200 euros in New Town.", "not found"),
        ("They say: “made in New Town”.", "not found"),
        ("Set --lamp for the lamp.", "not found"),
        ("Zebras.", "not found"),
    ],
)
def test_words_numbers_and_names(answer: str, expected: str) -> None:
    assert outcome(answer, LAMP) == expected


def test_the_source_says_something_else() -> None:
    text = "Leave.\n\nTell us.\nYou have five working days for it.\nBob left."
    answer = "You have ten days for it. It has nine lives."
    first, second = keras_qa.verify(answer, [{"name": "a", "text": text}], reader=None)
    assert dataclasses.asdict(first) == {
        **{"text": "You have ten days for it.", "start": 0, "end": 25, "outcome": "contradicted"},
        **{"score": pytest.approx(0.3, abs=0.19), "document": "a", "page": None},
        **{"document_start": 17, "document_end": 51, "line": 4, "end_line": 4},
        "instead": "You have five working days for it.",
    }
    assert (second.outcome, second.document, second.line, second.instead) == (
        "not found",
        *[None] * 3,
    )
    # Evidence of several lines.
    found = keras_qa.verify("Bob\u00a0left.", ["Ann\nleft.  Bob\n left."], reader=None)
    assert [(one.line, one.end_line, one.score) for one in found] == [(2, 3, 1.0)]


def test_the_opposite_is_contradicted_by_its_sentence() -> None:
    text = "Wood is heavier than straw. The lamp has the highest price."
    for claim, instead in (
        ("Straw is heavier than wood.", "Wood is heavier than straw."),
        ("The lamp has the lowest price.", "The lamp has the highest price."),
    ):
        (verdict,) = keras_qa.verify(claim, [text], reader=None)
        assert (verdict.outcome, verdict.instead) == ("contradicted", instead)


def test_the_threshold_is_the_lowest_probability() -> None:
    answer = "The price of the lamp is 1200 euros."
    (verdict,) = keras_qa.verify(answer, [LAMP], reader=None)
    assert 0.5 <= verdict.score < 1
    for threshold, expected in ((verdict.score, True), (verdict.score + 1e-6, False)):
        (found,) = keras_qa.verify(answer, [LAMP], reader=None, threshold=threshold)
        assert (found.supported, found.score) == (expected, verdict.score)


def test_evidence_is_the_passage_that_the_claim_is_about() -> None:
    texts = ["The lamp has a warranty of two years.", "The desk has a warranty of ten years."]
    for thing, years, number in (("lamp", "two", "0"), ("desk", "ten", "1")):
        (verdict,) = keras_qa.verify(
            f"The warranty of a {thing} is {years} years.", texts, reader=None
        )
        assert (verdict.outcome, verdict.document) == ("supported", number)
    (verdict,) = keras_qa.verify("The warranty of a lamp is ten years.", texts, reader=None)
    assert (verdict.outcome, verdict.document, verdict.instead) == (
        "contradicted",
        "0",
        "The lamp has a warranty of two years.",
    )


def test_a_pronoun_stands_for_the_sentence_before() -> None:
    texts = ["The lamp was made in 1990.", "The desk was made in 1995."]
    answer = "There is a desk. It was made in 1995. There is a lamp. It was made in 1995."
    found = keras_qa.verify(answer, texts, reader=None)
    assert [one.outcome for one in found[1::2]] == ["supported", "not found"]


def test_forms_of_names() -> None:
    text = "The Board of Directors met in the United States and in a European city."
    for claim, expected in (
        ("The board met in the US and in Europe.", "supported"),
        ("The board met in the UK.", "not found"),
        ("The board met in Asia.", "not found"),
    ):
        assert outcome(claim, text) == expected


def test_a_point_inside_a_word_ends_no_sentence() -> None:
    answer = "Ann sent notes.txt to Bob.\nEve left."
    found = keras_qa.verify(answer, ["Bob got notes.txt from Ann."], reader=None)
    assert [one.text for one in found] == answer.split("\n")


def test_scripts_without_spaces() -> None:
    assert outcome("“北京大学”在哪里？", "他在北京大学学习。") == "supported"
    assert outcome("“北京大学”在哪里？", "他在大学学习。") == "not found"
    assert outcome("Straße und ΟΔΟΣ İ ẞ.", "STRAßE UND οδος İ ß.") == "supported"


def test_a_long_text_takes_linear_time() -> None:
    # Quadratic time would take minutes here.
    found = keras_qa.verify("is 12 now. " * 20, ["12 " * 50_000 + "word  " * 50_000], reader=None)
    assert len(found) == 20


@pytest.mark.parametrize("answer", ["", " ...\n„—“"])
def test_answers_without_sentences(answer: str) -> None:
    assert keras_qa.verify(answer, ["A text."], reader=None) == []


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Ann left.")
    (tmp_path / "docs" / "b.md").write_text("# Bob\n\nBob slept.")
    return tmp_path / "docs"


def test_kinds_of_documents(folder, tmp_path) -> None:
    def names(documents: object) -> list[str | None]:
        found = keras_qa.verify("Ann left. Bob slept.", documents, reader=None)
        return [verdict.document for verdict in found]

    with Index.create(tmp_path / "a.index") as index:
        index.update(folder)
        assert names(index) == ["a.txt", "b.md"]
        assert len(index) == 2
    for path in (folder, str(folder), tmp_path / "a.index"):
        assert names(path) == ["a.txt", "b.md"]
    assert names(folder / "a.txt") == ["a.txt", None]
    mixed = ["Bob slept.", {"name": "ann", "text": "Ann left."}, Document("c", "")]
    assert names(mixed) == names(tuple(mixed)) == ["ann", "0"]
    # Nothing is left beside the documents.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.index", "docs"]


def test_unreadable_files_warn(folder) -> None:
    (folder / "c.txt").write_bytes(b"\xff")
    with pytest.warns(
        UserWarning, match=r"^Left out c\.txt: it is not UTF-8 at byte 0\."
    ) as caught:
        assert keras_qa.verify("Ann left.", folder, reader=None)[0].supported
    assert [pathlib.Path(one.filename).name for one in caught] == ["test_verification.py"]


NAMES = ("answer", "documents", "question", "reader", "threshold")


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("a", ["a"], "b"), ValueError, "A `question` needs a reader. Pass `reader`, or leave `qu"),
        ((5, ["a"]), TypeError, "`answer` must be a string. Received: answer=5."),
        ((None, ["a"]), TypeError, "`answer` must be a string. Received: answer=None."),
        (("a", ["a"], 5), TypeError, "`question` must be a string. Received: question=5."),
        (("a", 5), TypeError, "`documents` must be a list of texts or of documents, a path, or"),
        (("a", {"a": "b"}), TypeError, "`documents` must be a list of texts or of documents, a"),
        (("a", ["a", 5]), TypeError, "Received a int at position 1."),
        (("a", [{"name": "a"}]), ValueError, "position 0 must have the keys `name` and `text`."),
        (
            ("a", ["Ann.", {"name": "b", "text": "Bob."}, Document("b", "Ann.")]),
            ValueError,
            "`documents` must have different names. Received two documents with the name 'b'. ",
        ),
        (
            ("a", [{"name": "1", "text": "Bob."}, "Ann."]),
            ValueError,
            "with the name '1'. Texts without a name are named by their position.",
        ),
        (("a", []), ValueError, "`documents` must hold at least one document that can be read."),
        (("a", "none"), FileNotFoundError, "must be a folder or a file. There is no 'none'."),
        (("a", ["a"], None, None, 2), ValueError, "`threshold` must be between 0 and 1. Received:"),
    ],
)
def test_errors_are_one_line(arguments: tuple, kind: type, message: str, monkeypatch) -> None:
    monkeypatch.chdir(pathlib.Path(__file__).parent)
    with pytest.raises(kind, match=re.escape(message)) as error:
        keras_qa.verify(**dict(zip(NAMES, arguments, strict=False)) | {"reader": None})
    assert len(str(error.value)) < 300


def test_no_backend_is_needed_without_models(tmp_path) -> None:
    code = """
import sys, keras_qa
verdicts = keras_qa.verify("It costs 5 euros.", ["5 euros"], reader=None)
print(verdicts[0].supported, "keras" in sys.modules)
keras_qa.verify("It costs 5.", ["5 euros"])
"""
    done = python(code, hidden=BACKENDS, KERAS_HOME=str(tmp_path))
    assert done.stdout == "True False\n"
    assert "ImportError: keras-qa needs a backend and none is installed." in done.stderr


WORDS = st.sampled_from(["Ann", "STRAẞE", "went", "“home”", "it’s", "çok", "北京", "a-b", "(x)"])
NUMBERS = st.sampled_from(["12", "1,200", "3.5", "7 %", "-4", "1990s", "2'000.25"])
SPACES = st.sampled_from([" ", "  ", "\t", "\u00a0"])


@st.composite
def texts(draw) -> str:
    """Sentences of words and numbers."""
    sentences = []
    for words in draw(st.lists(st.lists(WORDS | NUMBERS, min_size=1), min_size=1, max_size=8)):
        spaced = "".join(word + draw(SPACES) for word in words)
        sentences.append(spaced.strip() + draw(st.sampled_from([".", "?", "!”", "\n"])))
    return draw(SPACES).join(sentences)


@given(texts(), st.data())
def test_sentences_of_a_document_are_supported_at_their_place(text, data) -> None:
    start, end = data.draw(st.sampled_from(sentence_spans(text)))
    for verdict in keras_qa.verify(text[start:end], [text], reader=None):
        assert (verdict.outcome, verdict.score, verdict.document) == ("supported", 1.0, "0")
        found = text[verdict.document_start : verdict.document_end]
        assert text[start:end].startswith(found.split()[0])


def test_the_weights_are_read_once(monkeypatch) -> None:
    keras_qa.verify("A lamp.", ["A lamp."], reader=None)
    read, read_text = [], pathlib.Path.read_text

    def counted(path: pathlib.Path, *options: str, **named: str) -> str:
        read.append(path.name)
        return read_text(path, *options, **named)

    monkeypatch.setattr(pathlib.Path, "read_text", counted)
    assert outcome("The price of the lamp is 1300 euros.", LAMP) == "contradicted"
    assert read == []
