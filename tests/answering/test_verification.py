"""`verify` without a question: sentences that documents contain. It needs no backend."""

import pathlib
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from interpreters import BACKENDS, python

import keras_qa
from keras_qa.answering import Verdict
from keras_qa.documents import Document, Index
from keras_qa.documents.verbatim import FoldedText, find_claims, fold
from keras_qa.text.sentence_splitting import sentence_spans

LAMP = 'The “Aurora” lamp costs\n 1,200 euros. It grew by 12.5 % in 1990.\nIt’s made in "Old Town".'


def is_supported(answer: str, *texts: str) -> bool:
    (verdict,) = keras_qa.verify(answer, texts)
    return verdict.supported


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # A whole sentence, in another case, with other white space and quotation marks.
        ("it grew BY 12.5\t%  in 1990.", True),
        ("The »aurora« lamp costs 1,200 euros.", True),
        ("It's made in “old town”.", True),
        ("It grew by 12.5 % in 1990", True),
        ("It shrank.", False),
        ("t grew by 12.5 % in 1990.", True),  # By its numbers.
        ("t’s made in", False),
        ("made in", True),
        # Quotations.
        ("Buy “Aurora”!", True),
        ("Buy «aurora lamp»!", False),
        ("They say: “made in Old Town,” indeed.", False),
        ("They say: „lamp costs 1,200.“", True),
        ('It comes from "Old Town," where “—” lives.', True),
        ("It’s Ann’s «old town» and “aurora”.", True),
        ("It’s Ann’s «new town» and “aurora”.", False),
        # Numbers.
        ("The price is 1200.", True),
        ("The price is 1'200.", True),
        ("The price is 1.200.", False),
        ("The price is 200.", False),
        ("The price is 1200.5.", False),
        ("The price is -1200.", False),
        ("From 1990 on, 12.5% more.", True),
        ("From 1990 on, 12.5 more.", False),
        ("From 1990 on, 5 % more.", False),
        ("From the 1990s on.", False),
        ("From 1990 to 1991.", False),
        ("An 1990x lamp.", False),
    ],
)
def test_what_stands_in_a_document(answer: str, expected: bool) -> None:
    assert is_supported(answer, LAMP) is expected


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,000 1’000.5 1,234,567 12,34 0,500 1,0000", "1000 1000.5 1234567 12,34 0500 1,0000"),
        ("-5 to \N{MINUS SIGN}6, 2010-2015, F-16", "-5 -6 2010 2015 16"),
        ("5 % 5% 5 per cent", "5% 5% 5"),
        ("H2O, 5km, 12.05.2010, 10:30", "h2o 5km 12.05.2010 10 30"),
        ("In 1990. 10 000 000", "1990 10 000 000"),
        ("他在1990年，๕๐ บาท", "1990 ๕๐"),
        ("one, two, Ann", ""),
    ],
)
def test_numbers(text: str, numbers: str) -> None:
    assert list(FoldedText(text).numbers) == list(dict.fromkeys(numbers.split()))


def test_a_quotation_may_reach_over_sentences() -> None:
    claims = find_claims('She said “I left. I came back.” Then "he left.\nHe" came.')
    quoted = [{"i left"}, {"i came back"}, set(), set()]
    assert [claim.quotations for claim in claims] == quoted


def test_scripts_without_spaces() -> None:
    assert is_supported("“北京大学”在哪里？", "他在北京大学学习。")
    assert not is_supported("“北京大学”在哪里？", "他在大学学习。")
    assert is_supported("Straße und ΟΔΟΣ İ ẞ.", "STRAßE UND οδος İ ß.")


def test_every_letter_keeps_its_length() -> None:
    letters = "".join(map(chr, range(0x110000)))
    assert len(fold(letters)) == len(letters)


def test_each_part_is_in_one_document_and_the_shortest_place_is_named() -> None:
    texts = ["1990 was far. “Ann” is 7.", 'In 7 days. In 1990 "Ann" left. In 7 days.', "Ann."]
    (verdict,) = keras_qa.verify("“Ann” came in 1990 with 7.", texts)
    assert verdict == Verdict("“Ann” came in 1990 with 7.", 0, 26, True, "0", 0, 24, 1.0, 1)
    found = keras_qa.verify("“Ann” came in 1990. Ann. 8 of 7.", texts)
    places = [(one.document, one.document_start, one.document_end) for one in found]
    assert places == [("0", 0, 18), ("2", 0, 4), (None, None, None)]
    (verdict,) = keras_qa.verify("“Ann” came in 1990.", texts[1:])
    assert texts[1][verdict.document_start : verdict.document_end] == '1990 "Ann'


@pytest.mark.parametrize(("gap", "is_near"), [(991, True), (992, False)])
def test_the_parts_of_a_support_are_near_each_other(gap: int, is_near: bool) -> None:
    text = f"Anna.\nIn 1990{'.' * gap}\n1991."
    (verdict,) = keras_qa.verify("From 1990 to 1991.", [text])
    source = ("0", 9, len(text) - 1, 2) if is_near else (None,) * 4
    found = (verdict.document, verdict.document_start, verdict.document_end, verdict.line)
    assert (verdict.supported, *found) == (is_near, *source)
    # A whole sentence may have any length.
    long = "word " * 1_000 + "in 1990 and 1991."
    assert is_supported(long, text, long)


def test_white_space_of_any_length_and_kind() -> None:
    text = "\n\n Ann \t left.\r\n\nBob\u00a0\u2003 left  12. "
    found = keras_qa.verify("Ann left. Bob left 12. It’s “left” by 12.", [text])
    parts = [text[one.document_start : one.document_end] for one in found]
    assert parts == ["Ann \t left.", "Bob\u00a0\u2003 left  12.", "left  12"]
    assert [one.line for one in found] == [3, 5, 5]


def test_repeated_words_take_linear_time() -> None:
    # A search with back-tracking would take minutes here.
    text, words = FoldedText("word  " * 100_000), "word " * 50_000
    (claim,) = find_claims(words + "y")
    assert text.locate(claim) is None
    (claim,) = find_claims(words)
    assert text.locate(claim) == (0, 6 * 50_000 - 2)
    # Each quotation is looked for in its own sentence, and equal sentences once.
    quotations = find_claims("“a”. " * 10_000)
    assert [{*claim.quotations} for claim in quotations] == [{"a"}] * 10_000
    numbers = " ".join(map(str, range(10_000)))
    (claim,) = find_claims(f"{numbers}?")
    assert FoldedText(numbers * 3).locate(claim) is None
    assert [one.line for one in keras_qa.verify("is 12 now. " * 5_000, ["12 " * 50_000])] == (
        [1] * 5_000
    )


@pytest.mark.parametrize("answer", ["", " ...\n„—“"])
def test_answers_without_sentences(answer: str) -> None:
    assert keras_qa.verify(answer, ["A text."]) == []


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Ann left.")
    (tmp_path / "docs" / "b.md").write_text("# Bob\n\nBob left.")
    return tmp_path / "docs"


def test_kinds_of_documents(folder, tmp_path) -> None:
    def names(documents: object) -> list[str | None]:
        found = keras_qa.verify("Ann left. Bob left.", documents)
        return [verdict.document for verdict in found]

    with Index.create(tmp_path / "a.index") as index:
        index.update(folder)
        assert names(index) == ["a.txt", "b.md"]
        assert len(index) == 2
    for path in (folder, str(folder), tmp_path / "a.index"):
        assert names(path) == ["a.txt", "b.md"]
    assert names(folder / "a.txt") == ["a.txt", None]
    mixed = ["Bob left.", {"name": "ann", "text": "Ann left."}, Document("c", "")]
    assert names(mixed) == names(tuple(mixed)) == ["ann", "0"]
    # Nothing is left beside the documents.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.index", "docs"]


def test_unreadable_files_warn(folder) -> None:
    (folder / "c.txt").write_bytes(b"\xff")
    with pytest.warns(
        UserWarning, match=r"^Left out c\.txt: it is not UTF-8 at byte 0\."
    ) as caught:
        assert keras_qa.verify("Ann left.", folder)[0].supported
    assert [pathlib.Path(one.filename).name for one in caught] == ["test_verification.py"]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
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
        (("a", ["a"], "b", None, 2), ValueError, "`threshold` must be between 0 and 1. Received:"),
    ],
)
def test_errors_are_one_line(arguments: tuple, kind: type, message: str, monkeypatch) -> None:
    monkeypatch.chdir(pathlib.Path(__file__).parent)
    with pytest.raises(kind, match=re.escape(message)) as error:
        keras_qa.verify(*arguments)
    assert len(str(error.value)) < 300


def test_no_backend_is_needed(tmp_path) -> None:
    code = """
import sys, keras_qa
print(keras_qa.verify("It costs 5.", ["5 euros"])[0].supported, "keras" in sys.modules)
keras_qa.verify("It costs 5.", ["5 euros"], "What?")
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


@settings(deadline=None, max_examples=100)
@given(texts(), st.sampled_from([str.upper, str.lower, str]), st.data())
def test_sentences_of_a_document_are_supported_at_their_place(text, change, data) -> None:
    start, end = data.draw(st.sampled_from(sentence_spans(text)))
    sentence = text[start:end]
    (claim,) = find_claims(sentence)
    found = FoldedText(text).locate(claim)
    assert found[0] <= start
    assert " ".join(text[slice(*found)].split()).lower() == " ".join(sentence.split()).lower()
    # `str.upper` would make SS of ß.
    assume(len(change(sentence)) == len(sentence))
    assert all(FoldedText(text).locate(claim) for claim in find_claims(change(sentence)))


@settings(deadline=None, max_examples=100)
@given(texts(), st.data())
def test_another_digit_is_unsupported(text, data) -> None:
    start, end = data.draw(st.sampled_from(sentence_spans(text)))
    sentence = text[start:end]
    digits = [place for place, letter in enumerate(sentence) if letter.isdigit()]
    assume(digits)
    place = data.draw(st.sampled_from(digits))
    # No number of the text has a 6 or an 8.
    changed = sentence[:place] + data.draw(st.sampled_from("68")) + sentence[place + 1 :]
    assert [FoldedText(text).locate(claim) for claim in find_claims(changed)] == [None]
