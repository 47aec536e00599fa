"""The simulator against an independent solver."""

import re
from collections import Counter

import pytest

from keras_qa.data import babi

TASKS = (1, 2, 3, 6, 15)
PLURALS = {"mice": "mouse", "sheep": "sheep", "wolves": "wolf", "cats": "cat"}
MOVED = re.compile(
    r"(John|Mary|Sandra|Daniel) (?:went|went back|moved|journeyed|travelled) to the "
    r"(bathroom|bedroom|garden|hallway|kitchen|office)\."
)
HANDLED = re.compile(
    r"(John|Mary|Sandra|Daniel) (?:(got|took|grabbed|picked up)|dropped|discarded|left|put down) "
    r"the (apple|football|milk)(?: there)?\."
)
AFRAID = re.compile(r"(\w+) are afraid of (\w+)\.")
IS_A = re.compile(r"(\w+) is a (\w+)\.")


def read(text):
    """Places of people, holders of objects, and the trail of each object since it was taken."""
    people, holders, touched, trails, floor = {}, {}, {}, {}, {}
    for at, line in enumerate(text.split("\n")):
        moved, handled = MOVED.fullmatch(line), HANDLED.fullmatch(line)
        assert moved or handled, line
        if moved:
            person, place = moved.groups()
            assert people.get(person, (None,))[0] != place, "nobody goes where they are"
            people[person] = (place, at)
            for thing, holder in holders.items():
                if holder == person:
                    trails[thing].append((place, at))
            continue
        person, got, thing = handled.groups()
        here = people.get(person, (None, None))
        if got:
            assert thing not in holders, "nobody takes what another holds"
            there = floor.pop(thing, (None, None))[0]
            assert None in (here[0], there) or here[0] == there, "things are taken where they are"
            holders[thing] = person
            trails[thing] = []
        else:
            assert holders.pop(thing) == person, "only the holder drops"
            floor[thing] = here
        touched[thing] = at
    return people, holders, touched, trails, floor


def solve(task, example):
    """Answer and supporting facts of an example, from its text and question alone."""
    if task == 15:
        fears, kinds = {}, {}
        for at, line in enumerate(example.text.split("\n")):
            if fear := AFRAID.fullmatch(line):
                fears[PLURALS[fear[1].lower()]] = (PLURALS[fear[2]], at)
            else:
                name, kind = IS_A.fullmatch(line).groups()
                kinds[name.lower()] = (kind, at)
        name = re.fullmatch(r"What is (\w+) afraid of\?", example.question)[1]
        kind, told = kinds[name]
        return fears[kind][0], (told, fears[kind][1])
    people, holders, touched, trails, floor = read(example.text)
    if task == 1:
        place, at = people[re.fullmatch(r"Where is (\w+)\?", example.question)[1]]
        return place, (at,)
    if task == 6:
        person, asked = re.fullmatch(r"Is (\w+) in the (\w+)\?", example.question).groups()
        place, at = people[person]
        return ("yes" if place == asked else "no"), (at,)
    if task == 2:
        thing = re.fullmatch(r"Where is the (\w+)\?", example.question)[1]
        place, at = people[holders[thing]] if thing in holders else floor[thing]
        return place, (touched[thing], at)
    thing, after = re.fullmatch(
        r"Where was the (\w+) before the (\w+)\?", example.question
    ).groups()
    trail = trails[thing]
    last = max(i for i, (place, _) in enumerate(trail) if place == after)
    return trail[last - 1][0], (touched[thing], trail[last][1], trail[last - 1][1])


@pytest.fixture(scope="module")
def simulated():
    return {task: babi.simulate(task, examples=4_000, seed=7) for task in TASKS}


@pytest.mark.parametrize("task", TASKS)
def test_every_answer_and_fact_follows_from_the_text(simulated, task):
    for example in simulated[task]:
        answer, facts = solve(task, example)
        assert (example.answers, example.supporting_facts) == ((answer,), facts), example


@pytest.mark.parametrize("task", TASKS)
def test_number_of_examples_and_seed(simulated, task):
    assert len(simulated[task]) == 4_000
    for examples in (1, 7):
        assert babi.simulate(task, examples=examples, seed=7) == simulated[task][:examples]
    other = babi.simulate(task, examples=50, seed=8)
    assert [e.text for e in other] != [e.text for e in simulated[task][:50]]
    assert simulated[task][17].id == f"qa{task}_simulated_17"


def test_stories_grow_by_rounds_of_two_statements_for_five_questions(simulated):
    lengths = [example.text.count("\n") + 1 for example in simulated[1]]
    assert lengths == [2, 4, 6, 8, 10] * 800
    for task in (2, 3, 6):
        texts = [example.text.split("\n") for example in simulated[task]]
        for story in range(0, len(texts), 5):
            for before, after in zip(
                texts[story : story + 4], texts[story + 1 : story + 5], strict=True
            ):
                assert after[: len(before)] == before
                assert len(after) > len(before)
                assert len(after) % 2 == 0
    texts = [example.text.split("\n") for example in simulated[15]]
    assert {len(text) for text in texts} == {8}
    assert all(texts[story] == texts[story + 3] for story in range(0, 4_000, 4))
    assert sum(texts[story] == texts[story + 4] for story in range(0, 3_996, 4)) == 0


# Measured on the training files of bAbI v1.2 (task 3: on 2,000 questions):
# statements before a question, share of questions that repeat the one before, age of the first
# and of the last supporting fact, share of the sentences that end with "there".
REAL = {
    1: (6.0, 0.36, 1.98, 1.98, 0.0),
    2: (15.5, 0.67, 2.73, 5.33, 0.23),
    3: (51.2, 0.39, 2.78, 8.42, 0.075),
    6: (6.3, 0.10, 2.23, 2.23, 0.24),
}


@pytest.mark.parametrize("task", REAL)
def test_statistics_are_those_of_the_real_stories(simulated, task):
    examples = simulated[task]
    texts = [example.text.split("\n") for example in examples]
    count = len(examples)
    length = sum(map(len, texts)) / count
    pairs = [i for i in range(1, count) if i % 5]
    repeated = sum(examples[i].question == examples[i - 1].question for i in pairs) / len(pairs)
    first, last = (
        sum(len(t) - e.supporting_facts[k] for e, t in zip(examples, texts, strict=True)) / count
        for k in (0, -1)
    )
    stories = texts[4::5]
    there = sum(line.endswith(" there.") for text in stories for line in text)
    there /= sum(map(len, stories))
    expected = REAL[task]
    assert length == pytest.approx(expected[0], rel=0.06)
    assert repeated == pytest.approx(expected[1], abs=0.05)
    assert first == pytest.approx(expected[2], abs=0.1)
    assert last == pytest.approx(expected[3], rel=0.06)
    assert there == pytest.approx(expected[4], abs=0.02)
    ages = {len(t) - e.supporting_facts[0] for e, t in zip(examples, texts, strict=True)}
    assert ages == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_as_even_as_in_the_real_data(simulated, task):
    answers = Counter(example.answers[0] for example in simulated[task])
    assert len(answers) == {6: 2, 15: 4}.get(task, 6)
    shares = [number / 4_000 * len(answers) for number in answers.values()]
    assert 0.85 < min(shares) <= max(shares) < 1.15


def test_wordings_of_task_3_are_even_and_people_do_all_three_things(simulated):
    lines = [line for e in simulated[3][4::5] for line in e.text.split("\n")]
    verbs = Counter(re.sub(r"^\w+ (.*) the .*$", r"\1", line) for line in lines)
    assert len(verbs) == 13
    for words, share, tolerance in (
        (("went to", "went back to", "moved to", "journeyed to", "travelled to"), 0.6334, 0.01),
        (("got", "took", "grabbed", "picked up"), 0.1900, 0.006),
        (("dropped", "discarded", "left", "put down"), 0.1766, 0.006),
    ):
        for word in words:
            expected = pytest.approx(share / len(words), abs=tolerance)
            assert verbs[word] / len(lines) == expected


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("task", (0, 4, 5, 20, True, 1.0, "1", None), "1, 2, 3, 6 or 15"),
        ("examples", (0, -3, 2.5), "a positive integer"),
        ("seed", (-1, None), "a non-negative integer"),
    ],
)
def test_bad_arguments_raise(name, values, expected):
    for value in values:
        message = re.escape(f"`{name}` must be {expected}. Received: {name}={value!r}")
        with pytest.raises(ValueError, match=f"^{message}"):
            babi.simulate(**{name: value})
