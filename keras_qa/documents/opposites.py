"""Whether a sentence says the opposite of its evidence: the sides of a relation, opposite words."""

from __future__ import annotations

import re
from typing import NamedTuple

from keras_qa.documents.full_text import FullTextTokenizer

# Words between two sides, and the words that mean the same if the sides change places.
_CONVERSE = {
    **{"before": "after", "after": "before", "above": "below", "below": "above"},
    **{"over": "under", "under": "over", "than": "than", "into": "into"},
}
_RELATION = re.compile(rf"\b({'|'.join(_CONVERSE)})\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n\s*\n")
_WORD = re.compile(r"\w+")
_OPPOSITES = (
    "first last, more less, more fewer, most least, increase decrease, increase reduce, rise fall, "
    "raise lower, higher lower, highest lowest, high low, upper lower, always never, allow forbid, "
    "allow prohibit, allow deny, required optional, mandatory optional, mandatory voluntary, "
    "minimum maximum, largest smallest, larger smaller, large small, big small, longer shorter, "
    "long short, north south, northern southern, east west, eastern western, earlier later, "
    "early late, earliest latest, oldest newest, older newer, older younger, faster slower, "
    "inside outside, internal external, public private, local remote, enable disable, add remove, "
    "accept reject, approve reject, buy sell, win lose, strong weak, easy difficult, "
    "possible impossible, same different, appoint elect, include exclude, manual automatic, "
    "temporary permanent, paid unpaid, import export, read write, send receive, success failure, "
    "rare common, often rarely, all none, best worst, positive negative, legal illegal, "
    "daily weekly, weekly monthly, monthly yearly, connect disconnect, subclass superclass, "
    "horizontal vertical, single multiple, deep shallow, support oppose, gain lose, major minor, "
    "majority minority, senior junior, urban rural"
)


class Relation(NamedTuple):
    """The stems to the left and to the right of a word such as "before" in a sentence."""

    word: str
    left: frozenset[str]
    right: frozenset[str]

    def is_reversed_in(self, other: Relation) -> bool:
        """Whether the sides of the relation have changed places in another one."""
        first, second = other.left, other.right
        if other.word != self.word:
            first, second = second, first
        if other.word not in (self.word, _CONVERSE[self.word]):
            return False
        # Words on both sides tell nothing.
        left, right = self.left - self.right, self.right - self.left
        first, second = first - second, second - first
        same = len(left & first) + len(right & second)
        crossed = len(left & second), len(right & first)
        return all(crossed) or sum(crossed) >= same + 2


def find_relations(text: str, tokenizer: FullTextTokenizer) -> list[Relation]:
    """Returns the relations in the sentences of a text."""
    relations = []
    for sentence in _SENTENCE_END.split(text):
        for match in _RELATION.finditer(sentence):
            left, right = sentence[: match.start()], sentence[match.end() :]
            # "After the test, the release": the right side comes first.
            if len(_WORD.findall(left)) <= 1 and "," in right:
                right, left = right.split(",", 1)
            sides = (_stems(side, tokenizer) for side in (left, right))
            relations.append(Relation(match[0].lower(), *sides))
    return relations


def is_reversed(claim: str, evidence: str, tokenizer: FullTextTokenizer) -> bool:
    """Whether a relation of a claim has its sides in each other's place in the evidence."""
    others = find_relations(evidence, tokenizer)
    relations = find_relations(claim, tokenizer)
    return any(relation.is_reversed_in(other) for relation in relations for other in others)


def has_opposite(claim: str, evidence: str, tokenizer: FullTextTokenizer) -> bool:
    """Whether the evidence has the opposite of a word of a claim, and not this word."""
    stems, others = _stems(claim, tokenizer), _stems(evidence, tokenizer)
    return any(
        opposite in others and opposite not in stems
        for first, second in _opposites(tokenizer)
        for word, opposite in ((first, second), (second, first))
        if word in stems and word not in others
    )


def _opposites(tokenizer: FullTextTokenizer) -> list[tuple[str, str]]:
    pairs = (pair.split() for pair in _OPPOSITES.split(","))
    return [(tokenizer.stem(first), tokenizer.stem(second)) for first, second in pairs]


def _stems(text: str, tokenizer: FullTextTokenizer) -> frozenset[str]:
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(tokenizer.stem(word) for word in words if word not in tokenizer.stop_words)
