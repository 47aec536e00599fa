"""Files of questions: every answer written once, whatever breaks the work off."""

import json
import os
import re
import resource
import sys

import pandas as pd
import pytest
from small_examples import EXAMPLES, read_lines, squad_file

from keras_qa.answering import answer_file as module
from keras_qa.answering.answer_file import answer_file
from keras_qa.cli import main
from keras_qa.cli.output import mark_answer
from keras_qa.data import tables

ROWS = [
    {"id": f"q{place}", "text": item.text, "question": item.question}
    for place, item in enumerate(EXAMPLES * 3)
]


@pytest.fixture
def expected(classifier) -> list[dict]:
    return [
        {
            "id": row["id"],
            "question": row["question"],
            "answer": answer.text,
            "score": pytest.approx(answer.score, abs=2e-6),
            "start": answer.start,
            "end": answer.end,
        }
        for row, answer in zip(ROWS, classifier.answer(EXAMPLES * 3), strict=True)
    ]


def write(path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "parquet", "json"])
def test_answers_keep_ids_and_order(suffix, classifier, expected, tmp_path) -> None:
    path = tmp_path / f"asked.{suffix}"
    frame = pd.DataFrame(ROWS)
    if suffix == "parquet":
        frame.to_parquet(path)
    elif suffix in ("csv", "tsv"):
        frame.to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    elif suffix == "json":
        squad_file(path, EXAMPLES * 3)
    else:
        write(path, ROWS)
    assert tables.count(path) == len(ROWS)
    done = answer_file(classifier, path, tmp_path / "answers.jsonl", verbose=0)
    assert done == (len(ROWS), 0)
    assert read_lines(tmp_path / "answers.jsonl") == expected


def test_several_answers_and_named_columns(classifier, tmp_path) -> None:
    path, out, item = tmp_path / "asked.jsonl", tmp_path / "answers.jsonl", EXAMPLES[0]
    write(path, [{"context": item.text, "asked": item.question, "number": 7}])
    columns = {"question": "asked", "id": "number"}
    answer_file(classifier, path, out, columns, top_k=2, verbose=0)
    ranked = classifier.answer(item.text, item.question, top_k=2)
    (line,) = read_lines(out)
    assert (line["id"], line["answer"]) == ("7", ranked[0].text)
    assert [entry["text"] for entry in line["answers"]] == [answer.text for answer in ranked]
    assert list(line["answers"][1]) == ["text", "score", "start", "end"]


def test_all_questions_may_be_about_one_text(classifier, classifier_file, tmp_path) -> None:
    text = "\n".join(item.text for item in EXAMPLES)
    (tmp_path / "text.txt").write_text(text)
    questions = list(dict.fromkeys(row["question"] for row in ROWS))
    write(tmp_path / "asked.jsonl", [{"question": question} for question in questions])
    squad_file(tmp_path / "asked.json", EXAMPLES[:4])
    out = tmp_path / "answers.jsonl"
    arguments = ["answer", classifier_file, f"--text={tmp_path / 'text.txt'}"]
    for name, asked in (
        ("asked.jsonl", questions),
        ("asked.json", [row["question"] for row in ROWS[:4]]),
    ):
        out.unlink(missing_ok=True)
        assert main([*arguments, f"--input={tmp_path / name}", f"--output={out}"]) == 0
        answers = classifier.answer(text, asked)
        assert [(row["question"], row["answer"], row["start"]) for row in read_lines(out)] == [
            (question, answer.text, answer.start)
            for question, answer in zip(asked, answers, strict=True)
        ]


def test_any_place_of_breaking_off_gives_the_same_file(
    classifier, expected, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(module, "MOST_QUESTIONS", 4)
    path, out = tmp_path / "asked.jsonl", tmp_path / "answers.jsonl"
    write(path, ROWS[:7])
    answer_file(classifier, path, out, verbose=0)
    whole = out.read_bytes()
    # Within the last two lines, and at their ends.
    for size in [*range(whole[:-150].rindex(b"\n") + 1, len(whole) + 1, 9), 3, 0]:
        out.write_bytes(whole[:size])
        before = 7 if size == len(whole) else 4 if size > len(whole) // 2 else 0
        assert answer_file(classifier, path, out, verbose=0) == (7 - before, before)
        assert out.read_bytes() == whole
    assert read_lines(out) == expected[:7]


def test_a_full_disk_gives_the_same_file_later(classifier, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_QUESTIONS", 4)
    path, out, other = (tmp_path / name for name in ("asked.jsonl", "a.jsonl", "whole.jsonl"))
    write(path, [{**row, "id": row["id"] * 3_000} for row in ROWS])
    answer_file(classifier, path, other, verbose=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (other.stat().st_size * 3 // 4, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            answer_file(classifier, path, out, verbose=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert 0 < out.stat().st_size < other.stat().st_size
    done, earlier = answer_file(classifier, path, out, verbose=0)
    assert done + earlier == len(ROWS)
    assert earlier >= 4
    assert out.read_bytes() == other.read_bytes()


def test_one_process_writes_at_a_time(classifier, tmp_path) -> None:
    path, out = tmp_path / "asked.jsonl", tmp_path / "answers.jsonl"
    write(path, ROWS[:4])
    message = r"^Another process writes to `.*answers\.jsonl`\. Wait for its end\.$"
    with module._open_progress(out), pytest.raises(OSError, match=message):
        answer_file(classifier, path, out, verbose=0)
    assert not out.exists()
    assert answer_file(classifier, path, out, verbose=0) == (4, 0)


def test_another_reader_or_option_does_not_continue(classifier, tmp_path) -> None:
    path, out = tmp_path / "asked.jsonl", tmp_path / "answers.jsonl"
    write(path, ROWS[:4])
    answer_file(classifier, path, out, verbose=0)
    content = out.read_bytes()
    with pytest.raises(ValueError, match=r"was begun with top_k=None\. Received: top_k=2\. Use"):
        answer_file(classifier, path, out, top_k=2, verbose=0)
    kernel = classifier.model_.trainable_variables[-1]
    weights = kernel.numpy().copy()
    try:
        kernel.assign(weights + 0.01)
        with pytest.raises(ValueError, match=r"begun with reader='\w{16}'\. Received: reader='"):
            answer_file(classifier, path, out, verbose=0)
    finally:
        kernel.assign(weights)
    assert out.read_bytes() == content
    assert answer_file(classifier, path, out, verbose=0) == (0, 4)
    progress = tmp_path / "answers.jsonl.progress"
    progress.write_text("no database " * 100)
    with pytest.raises(ValueError, match=r"answers\.jsonl\.progress` cannot be read or written: f"):
        answer_file(classifier, path, out, verbose=0)
    progress.unlink()
    with pytest.raises(ValueError, match="has other contents than the answers that this command"):
        answer_file(classifier, path, out, verbose=0)
    assert out.read_bytes() == content


def test_the_command_says_what_it_did(classifier_file, tmp_path, capsys) -> None:
    write(tmp_path / "asked.jsonl", ROWS[:3])
    out = tmp_path / "answers.jsonl"
    arguments = ["answer", classifier_file, f"--input={tmp_path / 'asked.jsonl'}"]
    assert main([*arguments, f"--output={out}"]) == 0
    printed = capsys.readouterr().out
    bar, line = printed.splitlines()
    assert bar.startswith("[####################] 3/3  100 %")
    assert re.fullmatch(rf"Answered 3 questions in \d+:\d\d\. Wrote {out}\.", line)
    out.write_bytes(out.read_bytes()[:-5])
    assert main([*arguments, f"--output={out}"]) == 0
    printed = capsys.readouterr().out
    assert re.match(r"Answered 3 questions in \d+:\d\d\. W", printed.splitlines()[-1])
    assert main([*arguments, f"--output={out}"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert re.match(r"Answered 0 questions in \d+:\d\d, 3 were answered before\. W", line)
    assert main([*arguments, "--question=?"]) == 2
    assert (
        "needs a text and a question, or --input and --output. Received: question, --input."
        in capsys.readouterr().err
    )


def test_a_bad_record_stops_after_the_answers_before_it(classifier, expected, tmp_path) -> None:
    path, out = tmp_path / "asked.jsonl", tmp_path / "answers.jsonl"
    write(path, ROWS[:5])
    path.write_text(f'{path.read_text()}{{"id": "q5", "text": \n')
    with pytest.raises(ValueError, match="line 6: expected one JSON object a line"):
        answer_file(classifier, path, out, verbose=0)
    assert read_lines(out) == expected[:5]
    write(path, ROWS)
    assert answer_file(classifier, path, out, verbose=0) == (len(ROWS), 0)
    assert read_lines(out) == expected


@pytest.mark.parametrize(("name", "most"), [("MOST_QUESTIONS", 4), ("MOST_CHARACTERS", 60)])
def test_few_questions_are_in_memory_at_a_time(
    name, most, classifier, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(module, name, most)
    answer, sizes = classifier.answer, []

    def noted(texts, *rest, **options):
        sizes.append(len(texts))
        return answer(texts, *rest, **options)

    monkeypatch.setattr(classifier, "answer", noted)
    write(tmp_path / "asked.jsonl", ROWS)
    answer_file(classifier, tmp_path / "asked.jsonl", tmp_path / "answers.jsonl", verbose=0)
    # The first call checks the options.
    assert len(sizes) > len(ROWS) / 5
    assert max(sizes) <= 4


def test_a_question_that_cannot_be_answered_is_named(
    classifier, expected, tmp_path, monkeypatch
) -> None:
    """A `.csv` record in the middle of a block, and a model that refuses what it reads."""
    answer = classifier.answer

    def picky(examples, question=None, **options):
        if any(item.question == "refused" for item in examples):
            raise ValueError("The question has 900 pieces.")
        return answer(examples, question, **options)

    monkeypatch.setattr(classifier, "answer", picky)
    rows = [*ROWS[:6], {**ROWS[6], "question": "refused"}, *ROWS[7:]]
    path, out = tmp_path / "asked.csv", tmp_path / "answers.jsonl"
    pd.DataFrame(rows).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"asked.csv`, line 8: The question has 900 pieces"):
        answer_file(classifier, path, out, verbose=0)
    assert read_lines(out) == expected[:6]


def test_answers_to_other_questions_are_not_mixed(classifier, tmp_path) -> None:
    path, out = tmp_path / "asked.jsonl", tmp_path / "answers.jsonl"
    write(path, ROWS[:4])
    answer_file(classifier, path, out, verbose=0)
    content = out.read_bytes()
    for rows in (ROWS[1:5], ROWS[:3], [{**row, "text": "Another."} for row in ROWS[:4]]):
        write(path, rows)
        message = r"has answers to other questions than the first 4 of `.*asked\.jsonl`\. Use ano"
        with pytest.raises(ValueError, match=message):
            answer_file(classifier, path, out, verbose=0)
        assert out.read_bytes() == content
    write(path, ROWS[:4])
    changed = content.replace(b"a", b"b")
    for other in (b'{"note": 1}\n', b"half a note", b"[]\n", changed, content + b"more"):
        out.write_bytes(other)
        with pytest.raises(ValueError, match="has other contents than the answers that this com"):
            answer_file(classifier, path, out, verbose=0)
        assert out.read_bytes() == other


def test_places_are_checked_first(classifier, tmp_path) -> None:
    path = tmp_path / "asked.jsonl"
    write(path, ROWS[:4])
    for source, target, kind, message in (
        ("none.jsonl", "a.jsonl", FileNotFoundError, "`path` must be a file"),
        ("asked.txt", "a.jsonl", ValueError, "`path` must end in .json, .csv"),
        ("asked.jsonl", "a.csv", ValueError, "`out` must end in .jsonl"),
        ("asked.jsonl", "none/a.jsonl", ValueError, "`out` is in a folder that does not exist"),
        ("asked.jsonl", "asked.jsonl", ValueError, "`out` must be another file than `path`"),
    ):
        with pytest.raises(kind, match=message):
            answer_file(classifier, tmp_path / source, tmp_path / target, verbose=0)
    with pytest.raises(ValueError, match="`top_k` must be a positive integer. Received: top_k=0"):
        answer_file(classifier, path, tmp_path / "a.jsonl", top_k=0, verbose=0)
    assert os.listdir(tmp_path) == ["asked.jsonl"]


def test_half_a_character_can_be_written(classifier, tmp_path) -> None:
    path, out = tmp_path / "asked.jsonl", tmp_path / "answers.jsonl"
    path.write_text('{"text": "A.", "question": "\\ud800?"}\n')
    answer_file(classifier, path, out, verbose=0)
    assert read_lines(out)[0]["question"] == "\ud800?"
    assert answer_file(classifier, path, out, verbose=0) == (0, 1)


def test_the_answer_is_marked_in_its_sentence() -> None:
    text = "First one. Mary went to the bath\troom today. Last one."
    start = text.index("the")
    assert mark_answer(text, start, start + 8) == "Mary went to «the bath» room today."
    assert mark_answer(text, start, start + 8, ("<", ">")) == "Mary went to <the bath> room today."
    # Over two sentences, and where nothing ends one.
    assert mark_answer("One here. Two there.", 4, 13) == "One «here. Two» there."
    long = "a" * 5_000 + " answer " + "b" * 5_000
    assert mark_answer(long, 5_001, 5_007) == f"…{'a' * 119} «answer» {'b' * 119}…"
    assert mark_answer("A\x1b[31m red.", 7, 10) == "A�[31m «red»."


def test_the_command_marks_the_answer(classifier_file, capsys, monkeypatch) -> None:
    arguments = ["answer", classifier_file, "--text=The door is red.\nIt was green.", "--top-k=3"]
    arguments.append("--question=What colour is the door?")
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    for marked in ("The door is «red».", "It was «green»."):
        assert f"\n          {marked}\n" in printed
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert main(arguments) == 0
    colours = printed.replace("«", "\x1b[1;7m").replace("»", "\x1b[0m")
    assert capsys.readouterr().out == colours
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(arguments) == 0
    assert capsys.readouterr().out == printed
