"""What a sentence says that words alone can check: stems, numbers, names and quotations."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from keras_qa.documents.full_text import UNSPACED, FullTextTokenizer, split_unspaced
from keras_qa.text.sentence_splitting import sentence_spans

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBER_WORDS = {
    **{word: float(number) for number, word in enumerate(_SMALL.split())},
    **{word: 20.0 + 10 * number for number, word in enumerate(_TENS.split())},
    **{"half": 0.5, "twice": 2.0, "double": 2.0, "dozen": 12.0},
    **{"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9},
}
# Digits with a decimal point and separators between groups of three, or a word. A word with digits
# inside, such as H2O, is a word.
_NUMBER = r"(?<![^\W_])\d+(?:[,'’]\d{3})*(?:\.\d+)*(?:st|nd|rd|th|s|x)?(?![^\W_])"
_TOKEN = re.compile(rf"(?P<number>{_NUMBER})|(?P<word>[^\W_]+(?:['’][^\W\d_]+)?)|(?P<percent>%)")
# Flags, identifiers and dotted names.
_CODE = re.compile(
    r"(?P<flag>(?<![\w-])--?[a-zA-Z][\w-]*+)|(?<!\w)(?P<identifier>\w[^\W_]*+_\w++)"
    r"|(?<!\w)[\d_]*+(?P<dotted>[^\W\d_]\w*+(?:\.\w++)++)"
)
_QUOTATION = re.compile(r'["“”„«»](?=[^\w"“”„«»\n]*+\w)([^"“”„«»\n]++)["“”„«»]')
# One plain character for each, and for İ, the only letter whose lower case has two characters.
_PLAIN = str.maketrans({**dict.fromkeys("“”„‟«»", '"'), **dict.fromkeys("‘’‚‛", "'"), "İ": "i"})
# A capital letter after these begins a sentence, a heading or an entry of a list.
_BEGIN = re.compile(r"(?:^|[.!?:;\n|•>])[^\w\n]*$")
_INNER_CAPITAL = re.compile(r"(?<=\w)[A-Z0-9]")
# Maximum number of sentences and of words of a window.
_SENTENCES, _WORDS = 3, 70


@dataclasses.dataclass(frozen=True)
class Number:
    """A number in a text, and the stems of the words beside it."""

    value: float
    start: int
    end: int
    after: frozenset[str]
    before: frozenset[str]

    def agrees(self, other: Number) -> bool:
        """Whether both have the same value, and share a word beside them if they have any."""
        beside, others = self.after | self.before, other.after | other.before
        return self.value == other.value and (not self.after or bool(beside & others))

    def conflicts(self, other: Number) -> bool:
        """Whether both count the same, and differ."""
        return self.value != other.value and bool(self.after & other.after)


@dataclasses.dataclass(frozen=True)
class Facts:
    """The facts of a text.

    Attributes:
        stems: Stems of its words without stop words and numbers.
        numbers: Its numbers in order, as digits or in words.
        names: Spans of the words with a capital letter that begin no sentence, or with a capital
            letter or a digit inside, by their stems.
        literals: Its quotations, flags and identifiers.
    """

    stems: frozenset[str]
    numbers: tuple[Number, ...]
    names: dict[str, tuple[int, int]]
    literals: tuple[str, ...]


def find_facts(text: str, tokenizer: FullTextTokenizer) -> Facts:
    """Finds the facts of a text."""
    tokens = [*_TOKEN.finditer(text)]
    words = [match[0].lower().replace("’", "'").removesuffix("'s") for match in tokens]
    stems = [
        _stems(word, tokenizer) if match["word"] and word not in _NUMBER_WORDS else []
        for match, word in zip(tokens, words, strict=True)
    ]
    for position, word in enumerate(words):
        if word in ("%", "percent") or words[position - 1 : position + 1] == ["per", "cent"]:
            stems[position] = ["%"]
    numbers, names = [], {}
    for position, (match, word) in enumerate(zip(tokens, words, strict=True)):
        value = _value(word) if match["number"] else _NUMBER_WORDS.get(word)
        if value is not None:
            after = [stem for some in stems[position + 1 : position + 5] for stem in some][:2]
            before = [stem for some in stems[max(position - 4, 0) : position] for stem in some][-2:]
            numbers.append(Number(value, *match.span(), frozenset(after), frozenset(before)))
        elif stems[position] and (
            _INNER_CAPITAL.search(match[0])
            or (match[0][0].isupper() and not _BEGIN.search(text[: match.start()][-20:]))
        ):
            names[stems[position][-1]] = match.span()
    literals = [match[1].strip(" .,;") for match in _QUOTATION.finditer(text)]
    literals += [match[match.lastgroup or 0] for match in _CODE.finditer(text)]
    content = frozenset(stem for some in stems for stem in some)
    return Facts(content, tuple(numbers), names, tuple(literals))


def _stems(word: str, tokenizer: FullTextTokenizer) -> list[str]:
    parts = split_unspaced(word).split()
    return [tokenizer.stem(part) for part in parts if part not in tokenizer.stop_words]


def _value(digits: str) -> float:
    """Returns the value of digits; of a version or a date, such as 3.10.2, that of all digits."""
    digits = re.sub(r"[^\d.]", "", digits).strip(".")
    return float(digits if digits.count(".") < 2 else digits.replace(".", ""))


def contains(text: str, part: str) -> re.Match[str] | None:
    """Finds a part in a text in whole words; case, white space and quotation marks do not count."""
    words = part.translate(_PLAIN).split()
    if not words:
        return None
    # In scripts without spaces, words have no visible ends.
    before, after = (
        "" if re.match(rf"[\W{UNSPACED}]", letter) else rf"(?{side}[^\W{UNSPACED}])"
        for letter, side in ((words[0][0], "<!"), (words[-1][-1], "!"))
    )
    pattern = before + r"\s+".join(map(re.escape, words)) + after
    return re.search(pattern, text.translate(_PLAIN), re.IGNORECASE)


def sentences(text: str) -> list[tuple[int, int]]:
    """Returns the spans of sentences, as `sentence_spans`, but not ending inside a word."""
    spans: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        # A point inside a word, such as that of a file's name.
        if spans and spans[-1][1] == start:
            start = spans.pop()[0]
        spans.append((start, end))
    return spans


def windows(text: str) -> Iterator[tuple[int, int]]:
    """Yields the spans of one to three consecutive sentences of a text."""
    spans = [
        (paragraph.start() + start, paragraph.start() + end)
        for paragraph in re.finditer(r"(?:[^\n]|\n(?![^\S\n]*\n))+", text)
        # A line break inside a paragraph ends no sentence.
        for start, end in sentences(re.sub(r"[\n\r]", " ", paragraph[0]))
    ]
    for position, (start, _) in enumerate(spans):
        for _, end in spans[position : position + _SENTENCES]:
            if end == spans[position][1] or len(text[start:end].split()) <= _WORDS:
                yield start, end
