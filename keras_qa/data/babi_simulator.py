"""Simulated bAbI stories: people move between places and carry objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from keras_qa._arguments import is_integer, must_be, to_integer
from keras_qa.example import Example

PEOPLE = ("John", "Mary", "Sandra", "Daniel")
PLACES = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
OBJECTS = ("apple", "football", "milk")
MOVE, GET, DROP = "move", "get", "drop"
VERBS = {
    MOVE: ("went to", "went back to", "moved to", "journeyed to", "travelled to"),
    GET: ("got", "took", "grabbed", "picked up"),
    DROP: ("dropped", "discarded", "left", "put down"),
}
ANIMALS = {"mouse": "mice", "sheep": "sheep", "wolf": "wolves", "cat": "cats"}
NAMES = ("Gertrude", "Winona", "Jessica", "Emily")

STATEMENTS_PER_ROUND = 2
QUESTIONS_PER_STORY = 5
QUESTIONS_PER_DEDUCTION = 4
# In the real data, each question depends on one of the last five statements.
WINDOW = 5
# Share of sentences that end with "there".
THERE = 0.2

T = TypeVar("T")


def simulate(task: int = 1, examples: int = 1_000, seed: int = 0) -> list[Example]:
    """Simulates bAbI stories and questions, without a download.

    Words, sentences, frequencies of actions, questions and supporting facts follow the real data
    set, so that a model trained on simulated stories also answers real ones.

    Args:
        task: 1 (one supporting fact), 2 (two), 3 (three), 6 (yes or no) or 15 (basic deduction).
        examples: Number of questions, at least 1. Five questions (four in task 15) share a story
            that grows between them.
        seed: A non-negative integer. The same seed gives the same examples.

    Returns:
        A list of `Example` objects. The text has one sentence per line, and `supporting_facts` are
        positions of lines, from 0.

    Raises:
        ValueError: If the task cannot be simulated, or `examples` or `seed` is out of range.

    Reference:
        Weston et al. 2015, "Towards AI-Complete Question Answering: A Set of Prerequisite Toy
        Tasks", arXiv:1502.05698.

    Examples:
        >>> from keras_qa import datasets
        >>> train = datasets.babi.simulate(task=1, examples=1_000, seed=0)
        >>> len(train)
        1000
        >>> names = "John", "Mary", "Sandra", "Daniel"
        >>> train[0].question in {f"Where is {name}?" for name in names}
        True
        >>> fact = train[0].text.split("\\n")[train[0].supporting_facts[0]]
        >>> fact.endswith(f"the {train[0].answers[0]}.")
        True
    """
    if not is_integer(task) or task not in SIMULATED_TASKS:
        raise ValueError(must_be("task", "1, 2, 3, 6 or 15", task))
    examples = to_integer("examples", examples)
    seed = to_integer("seed", seed, least=0)
    dice = _Dice(seed)
    result: list[Example] = []
    while len(result) < examples:
        story = _deduction(dice) if task == 15 else _walk(task, dice)
        for statements, question in story:
            result.append(
                Example(
                    "\n".join(statements),
                    question.text,
                    (question.answer,),
                    supporting_facts=question.facts,
                    id=f"qa{task}_simulated_{len(result)}",
                )
            )
    return result[:examples]


class Event(NamedTuple):
    """A person moves to a place, or gets or drops an object."""

    kind: str
    person: str
    thing: str


class Question(NamedTuple):
    """A question, its answer and the positions of the supporting statements."""

    text: str
    answer: str
    facts: tuple[int, ...]


class World:
    """Places of people, and places or holders of objects, drawn at random at the start."""

    def __init__(self, dice: _Dice) -> None:
        self.dice = dice
        self.person_place = {person: dice.choose(PLACES) for person in PEOPLE}
        self.object_place: dict[str, str | None] = {name: dice.choose(PLACES) for name in OBJECTS}
        self.holder: dict[str, str | None] = dict.fromkeys(OBJECTS)

    def act(self, kinds: Sequence[str]) -> Event:
        """Performs a random possible action."""
        # Drawing person and action together until they are possible reproduces the frequencies of
        # the real stories.
        while True:
            person, kind = self.dice.choose(PEOPLE), self.dice.choose(kinds)
            location = self.person_place[person]
            if kind == MOVE:
                target = self.dice.choose(PLACES)
                if target != location:
                    self.person_place[person] = target
                    return Event(MOVE, person, target)
                continue
            if kind == GET:
                things = [name for name in OBJECTS if self.object_place[name] == location]
            else:
                things = [name for name in OBJECTS if self.holder[name] == person]
            if things:
                thing = self.dice.choose(things)
                self.holder[thing] = person if kind == GET else None
                self.object_place[thing] = None if kind == GET else location
                return Event(kind, person, thing)


def _walk(task: int, dice: _Dice) -> Iterator[tuple[list[str], Question]]:
    """Yields a story of task 1, 2, 3 or 6 after each round in which a question is possible."""
    world = World(dice)
    kinds = (MOVE,) if task == 1 else (MOVE, GET, DROP)
    events: list[Event] = []
    statements: list[str] = []
    questions = 0
    while questions < QUESTIONS_PER_STORY:
        for _ in range(STATEMENTS_PER_ROUND):
            events.append(world.act(kinds))
            statements.append(_tell(events[-1], task, dice))
        question = QUESTIONS[task](events, dice)
        if question is not None:
            questions += 1
            yield statements, question


def _tell(event: Event, task: int, dice: _Dice) -> str:
    sentence = f"{event.person} {dice.choose(VERBS[event.kind])} the {event.thing}"
    if event.kind == MOVE:
        return f"{sentence}."
    # In the real tasks 2 and 6, sentences about getting an object always end with "there".
    ends_with_there = (event.kind == GET and task != 3) or dice.roll() < THERE
    return f"{sentence} there." if ends_with_there else f"{sentence}."


def _where_is_person(events: list[Event], dice: _Dice) -> Question | None:
    last = _last_move_of_somebody(events, dice)
    if last is None:
        return None
    return Question(f"Where is {events[last].person}?", events[last].thing, (last,))


def _is_person_there(events: list[Event], dice: _Dice) -> Question | None:
    last = _last_move_of_somebody(events, dice)
    if last is None:
        return None
    location = events[last].thing
    yes = dice.roll() < 0.5
    named = location if yes else dice.choose([other for other in PLACES if other != location])
    return Question(f"Is {events[last].person} in the {named}?", "yes" if yes else "no", (last,))


def _last_move_of_somebody(events: list[Event], dice: _Dice) -> int | None:
    # Draw a move, not a person, as in the real data: frequent movers are asked about more often.
    moves = [at for at in _recent(events) if events[at].kind == MOVE]
    if not moves:
        return None
    person = events[dice.choose(moves)].person
    return max(at for at in moves if events[at].person == person)


def _where_is_object(events: list[Event], dice: _Dice) -> Question | None:
    possible = []
    for thing in _recently_handled(events):
        handled = _last_handled(events, thing)
        kind, person, _ = events[handled]
        # A dropped object is where its carrier moved before, a carried one where its carrier moved
        # since.
        among = range(handled) if kind == DROP else range(handled + 1, len(events))
        moves = _moves(events, person, among)
        if moves:
            possible.append((handled, moves[-1]))
    if not possible:
        return None
    handled, moved = dice.choose(possible)
    return Question(f"Where is the {events[handled].thing}?", events[moved].thing, (handled, moved))


def _where_was_object(events: list[Event], dice: _Dice) -> Question | None:
    possible = []
    for thing in dict.fromkeys(_recently_handled(events)):
        handled = _last_handled(events, thing)
        kind, person, _ = events[handled]
        taken = handled
        if kind == DROP:
            taken = max(at for at in range(handled) if events[at] == Event(GET, person, thing))
        until = handled if kind == DROP else len(events)
        moves = _moves(events, person, range(taken + 1, until))
        for visit in moves[1:]:
            # If the object was in a place twice, the question means the last time.
            index = max(i for i, at in enumerate(moves) if events[at].thing == events[visit].thing)
            possible.append((handled, moves[index], moves[index - 1]))
    if not possible:
        return None
    handled, moved, before = dice.choose(possible)
    return Question(
        f"Where was the {events[handled].thing} before the {events[moved].thing}?",
        events[before].thing,
        (handled, moved, before),
    )


def _recent(events: list[Event]) -> range:
    return range(max(0, len(events) - WINDOW), len(events))


def _recently_handled(events: list[Event]) -> list[str]:
    return [events[at].thing for at in _recent(events) if events[at].kind != MOVE]


def _last_handled(events: list[Event], thing: str) -> int:
    return max(at for at in _recent(events) if events[at].thing == thing)


def _moves(events: list[Event], person: str, among: range) -> list[int]:
    return [at for at in among if events[at].kind == MOVE and events[at].person == person]


def _deduction(dice: _Dice) -> Iterator[tuple[list[str], Question]]:
    """Yields a story of task 15 with each of its questions."""
    statements: list[str] = []
    fears: dict[str, tuple[str, int]] = {}
    kinds: dict[str, tuple[str, int]] = {}
    while len(statements) < len(ANIMALS) + len(NAMES):
        animal = dice.choose(list(ANIMALS))
        if animal not in fears:
            feared = dice.choose([other for other in ANIMALS if other != animal])
            fears[animal] = (feared, len(statements))
            plural = ANIMALS[animal].capitalize()
            statements.append(f"{plural} are afraid of {ANIMALS[feared]}.")
            continue
        # As in the real stories, names are given to animals whose fear is known.
        name = dice.choose(NAMES)
        if name not in kinds:
            kinds[name] = (animal, len(statements))
            statements.append(f"{name} is a {animal}.")
    for _ in range(QUESTIONS_PER_DEDUCTION):
        name = dice.choose(NAMES)
        animal, kind_fact = kinds[name]
        feared, fear_fact = fears[animal]
        facts = kind_fact, fear_fact
        yield statements, Question(f"What is {name.lower()} afraid of?", feared, facts)


class _Dice:
    """Random choices, drawn from NumPy's generator in blocks because single draws are slow."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._block: list[float] = []

    def roll(self) -> float:
        if not self._block:
            self._block = self._generator.random(4096).tolist()
        return self._block.pop()

    def choose(self, options: Sequence[T]) -> T:
        return options[int(self.roll() * len(options))]


QUESTIONS: dict[int, Callable[[list[Event], _Dice], Question | None]] = {
    1: _where_is_person,
    2: _where_is_object,
    3: _where_was_object,
    6: _is_person_there,
}
SIMULATED_TASKS = (*QUESTIONS, 15)
