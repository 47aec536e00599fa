"""Makes true and false claims about texts by rules, to train the preset `minilm-verify`.

A row has a `claim`, a `text` of one to three sentences, and a `label`: 1 if the text supports it.
"""

from __future__ import annotations

import json
import pathlib
import random
import re
from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]


def word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Reviews contradict each other.
LEFT_OUT = "squadshifts-amazon"
AUXILIARIES = word_set(
    "did does do is are was were has have had can could will would should may might must"
)
ARTICLES = frozenset(("the", "a", "an"))
PRONOUNS = word_set("you we they he she it i there")
PREPOSITIONS = word_set("in on at for by from to with during of about under into as after")
TIMES = word_set("year date month day century decade")
INTERROGATIVES = word_set("who what which when where why how")
# Words that begin a predicate, in a question without a title to tell its subject.
PREDICATES = ARTICLES | word_set(
    "in on at have be been get go take make still always ever need count work come use part legal "
    "same to real based it your one considered"
)
PARTICIPLE = re.compile(
    r"\w+(ed|en)|known|built|made|born|held|found|led|won|sold|paid|sent|cut|put|set|lost|kept|left"
    r"|told|said|begun|drawn|thrown|taught|bought|brought|caught|based|located|situated"
)
SMALL_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
SMALL = SMALL_NUMBERS.split()
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"”')\]]*\s+(?=[A-Z0-9\"“(])")
NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][\w'’-]+(?:(?: of| de| the)? [A-Z][\w'’-]+)*")
NEGATION = re.compile(r"\b(not|never|no|cannot|without|neither|nor|none|nothing)\b|n['’]t\b")
NEGATED = re.compile(
    r"\b(is|are|was|were|can|could|will|would|should|must|may|might|has|have|had|does|do|did)"
    r"(?: not|n['’]t)\b|\b(can)not\b"
)
AUXILIARY = re.compile(
    r"\b(is|are|was|were|can|could|will|would|should|must|may|might|has been|have been|had been)\b"
    r"(?! not|n['’]t)"
)
# Other negations, and what to say without them.
PLAIN = [
    (r"\bnever ", ""),
    (r"\b(do|does|did)(?: not|n['’]t) ", ""),
    (r"\bneed not\b", "must"),
    (r"\bno longer\b", "still"),
    (r"\bwithout\b", "with"),
    (r"\b(has|have|had|is|are|was|were) no\b", r"\1 a"),
    (r"\bno\b", "some"),
    (r"\bnone of\b", "all of"),
    (r"\bneither\b", "either"),
]
OPPOSITES = (
    "before/after, first/last, more/less, more/fewer, higher/lower, increase/decrease, "
    "increased/decreased, always/never, allowed/forbidden, required/optional, minimum/maximum, "
    "largest/smallest, larger/smaller, north/south, northern/southern, east/west, earlier/later, "
    "above/below, most/least, old/new, older/newer, early/late, faster/slower, inside/outside, "
    "with/without, all/no, many/few, best/worst, enabled/disabled, public/private, "
    "internal/external, begins/ends, began/ended, opened/closed, won/lost, rose/fell, strong/weak, "
    "male/female, paid/unpaid, longest/shortest, longer/shorter, major/minor, "
    "successful/unsuccessful, possible/impossible, same/different, common/rare, left/right, "
    "upper/lower, approved/rejected, accepted/rejected, bought/sold, often/rarely, high/low, "
    "small/large, short/long, positive/negative, legal/illegal, added/removed, "
    "temporary/permanent, at least/at most, less than/more than"
)
OPPOSITE: dict[str, list[str]] = {}
for _pair in OPPOSITES.split(", "):
    for _word, _other in (_pair.split("/"), _pair.split("/")[::-1]):
        OPPOSITE.setdefault(_word, []).append(_other)
OPPOSED = re.compile(rf"\b({'|'.join(sorted(OPPOSITE, key=len, reverse=True))})\b", re.IGNORECASE)


def finish(claim: str) -> str:
    claim = " ".join(claim.split()).strip(" ,;")
    return claim[:1].upper() + claim[1:] + ("" if claim.endswith(".") else ".")


def declare(question: str, answer: str) -> str | None:
    """Returns a question and its answer as a statement, in crude English, or `None`."""
    words = question.rstrip("? ").split()
    lower = [word.lower() for word in words]
    at = next((place for place, word in enumerate(lower) if word in INTERROGATIVES), None)
    if at is None or at > 1:
        return None
    kind, preposition = lower[at], lower[0] if at and lower[0] in PREPOSITIONS else ""
    last = min(len(lower), at + 7)
    place = next((n for n in range(at + 1, last) if lower[n] in AUXILIARIES), None)
    if place is None:
        # "Who wrote it", "Which river flows there"
        skipped = {"who": 1, "what": 1, "which": 2, "how": 2}.get(kind)
        rest = words[at + skipped :] if skipped else []
        return finish(f"{answer} {' '.join(rest)}") if len(rest) > 1 else None
    noun, auxiliary, rest = words[at + 1 : place], lower[place], words[place + 1 :]
    if not rest:
        return None
    if kind == "how" and noun and noun[0].lower() in ("many", "much"):
        answer = f"{answer} {' '.join(noun[1:])}".strip()
    is_time = bool(noun) and noun[0].lower() in TIMES
    is_place = kind in ("when", "where") or bool(preposition) or is_time
    if is_place and answer.split()[0].lower() not in PREPOSITIONS:
        answer = f"{preposition or 'in'} {answer}"
    if kind == "why" and not answer.lower().startswith(("because", "to ", "due")):
        answer = f"because {answer}"
    text = " ".join(rest)
    if auxiliary in ("did", "does", "do"):
        return finish(f"{text} {answer}")
    if auxiliary not in ("is", "are", "was", "were"):
        split = 2 if rest[0].lower() in ARTICLES and len(rest) > 3 else 1
        return finish(f"{' '.join(rest[:split])} {auxiliary} {' '.join(rest[split:])} {answer}")
    verbs = (n for n in range(len(rest) - 1, -1, -1) if PARTICIPLE.fullmatch(rest[n].lower()))
    verb = next(verbs, None)
    if verb == 0:
        return finish(f"{answer} {auxiliary} {text}")
    if verb is not None and (is_place or verb == len(rest) - 1):
        subject, predicate = " ".join(rest[:verb]), " ".join(rest[verb:])
        return finish(f"{subject} {auxiliary} {predicate} {answer}")
    return finish(f"{text} {auxiliary} {answer}")


def negate(claim: str, rng: random.Random) -> str | None:
    """Returns a claim with a negation more or less, or `None`."""
    match = NEGATED.search(claim)
    if match:
        return claim[: match.start()] + (match[1] or match[2]) + claim[match.end() :]
    matches = [*AUXILIARY.finditer(claim)]
    if matches:
        match = matches[0] if rng.random() < 0.8 else rng.choice(matches)
        words = match[1].split()
        negated = {"can": "cannot"}.get(match[1], " ".join([words[0], "not", *words[1:]]))
        if rng.random() < 0.15 and len(words) == 1 and match[1] != "can":
            negated = f"{words[0]} never"
        return claim[: match.start()] + negated + claim[match.end() :]
    for pattern, plain in PLAIN:
        if re.search(pattern, claim, re.IGNORECASE):
            return re.sub(pattern, plain, claim, count=1, flags=re.IGNORECASE)
    return None


def change_number(text: str, context: str, rng: random.Random) -> str | None:
    """Returns a text with another number, or `None`."""
    match = NUMBER.search(text)
    if match:
        old = match[0]
        near = [one for one in NUMBER.findall(context) if one != old and len(one) == len(old)]
        value = float(old.replace(",", ""))
        if near and rng.random() < 0.45:
            new = rng.choice(near)
        elif 1_000 <= value <= 2_100 and "," not in old:
            new = str(int(value) + rng.choice((-20, -10, -5, -2, -1, 1, 2, 5, 10, 20)))
        else:
            number = int(value)
            changed = rng.choice((number + 1, max(number - 1, 0), 2 * number, number + 10))
            new = f"{changed:,}" if "," in old else str(changed)
        return None if new == old else text[: match.start()] + new + text[match.end() :]
    for match in re.finditer("[A-Za-z]+", text):
        if match[0].lower() in SMALL[2:]:
            number = SMALL.index(match[0].lower())
            new = rng.choice([word for word in SMALL[1:] if word != SMALL[number]])
            return text[: match.start()] + new + text[match.end() :]
    return None


def use_opposite(claim: str, rng: random.Random) -> str | None:
    """Returns a claim with the opposite of one of its words, or `None`."""
    matches = [*OPPOSED.finditer(claim)]
    if not matches:
        return None
    match = rng.choice(matches)
    new = rng.choice(OPPOSITE[match[0].lower()])
    new = new.capitalize() if match[0][0].isupper() else new
    return claim[: match.start()] + new + claim[match.end() :]


def exchange_names(claim: str, rng: random.Random) -> str | None:
    """Returns a claim with two names in each other's place, or `None`."""
    matches = [match for match in NAME.finditer(claim) if len(match[0]) > 2]
    if len(matches) < 2:
        return None
    first, second = (matches[n] for n in sorted(rng.sample(range(len(matches)), 2)))
    between = claim[first.end() : second.start()]
    if words(first[0]) & words(second[0]) or re.fullmatch(r",? ?(and|or|,)? ", between):
        return None
    return claim[: first.start()] + second[0] + between + first[0] + claim[second.end() :]


def shorten(sentence: str, rng: random.Random) -> str:
    """Returns a sentence without parentheses, an introduction or a relative clause."""
    if rng.random() < 0.7:
        sentence = re.sub(r"\s*\([^()]*\)", "", sentence)
    if rng.random() < 0.4:
        sentence = re.sub(
            r"^(However|Also|In addition|Therefore|Today|For example),? ", "", sentence
        )
    if rng.random() < 0.35:
        sentence = re.sub(r", (which|who|where) [^,.]*(?=[,.])", "", sentence)
    return finish(sentence)


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - ARTICLES - PREPOSITIONS


def sentences(text: str) -> list[tuple[int, int]]:
    ends = [(match.start(), match.end()) for match in SENTENCE_END.finditer(text)]
    starts = [0, *(end for _, end in ends)]
    return [*zip(starts, [*(start for start, _ in ends), len(text)], strict=True)]


def around(text: str, place: int, rng: random.Random) -> str:
    """Returns one to three sentences, of which one is at a place."""
    spans = sentences(text)
    at = next((n for n, (start, end) in enumerate(spans) if start <= place < end + 2), 0)
    size = rng.randint(1, 3)
    first = max(0, at - rng.randint(0, size - 1))
    return text[spans[first][0] : spans[min(len(spans), max(first + size, at + 1)) - 1][1]]


def of_questions(path: pathlib.Path, rng: random.Random) -> Iterator[tuple[str, Row]]:
    """Yields groups and rows of the answers to the questions of a file in SQuAD's format."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    for article in articles:
        if article.get("source") == LEFT_OUT:
            continue
        for paragraph in article["paragraphs"]:
            context = paragraph["context"]
            asked = [one for one in paragraph["qas"] if one.get("answers")]
            for one in asked:
                answer = one["answers"][0]
                claim = declare(one["question"], answer["text"])
                if claim is None or not 4 <= len(claim.split()) <= 40:
                    continue
                others = [other["answers"][0]["text"] for other in asked if other is not one]
                if answer["text"][:1].isupper():
                    others += [match[0] for match in NAME.finditer(context)]
                taken = words(answer["text"]) | words(one["question"])
                others = [other for other in others if not words(other) & taken]
                wrong = change_number(answer["text"], context, rng)
                wrong = wrong or (rng.choice(others) if others else None)
                false = declare(one["question"], wrong) if wrong else None
                text = around(context, answer["answer_start"], rng)
                far = rng.choice(article["paragraphs"])["context"][:300]
                is_far = answer["text"].lower() not in far.lower()
                is_true = rng.random() < 0.5
                chosen = claim if is_true else false
                if rng.random() < 0.1 and is_far:
                    yield "absent", {"claim": claim, "text": far, "label": 0}
                elif chosen is not None:
                    negated = negate(chosen, rng) if rng.random() < 0.3 else None
                    label = int(is_true) if negated is None else int(not is_true)
                    group = f"{'negated' if negated else 'answer'} {label}"
                    yield group, {"claim": negated or chosen, "text": text, "label": label}


def of_sentences(contexts: list[str], rng: random.Random) -> Iterator[tuple[str, Row]]:
    """Yields groups and rows of sentences as they are, each with a false one after it."""
    for context in contexts:
        for start, end in sentences(context):
            sentence = context[start:end]
            fits = 7 <= len(sentence.split()) <= 30 and sentence.endswith(".")
            if not fits or not sentence[0].isupper():
                continue
            claim, text = shorten(sentence, rng), around(context, start, rng)
            share, group, false = rng.random(), "", None
            if NEGATION.search(sentence):
                group, false = "negation", negate(claim, rng)
            elif share < 0.12:
                group, false = "negate", negate(claim, rng)
            elif share < 0.3:
                group, false = "opposite", use_opposite(claim, rng)
            elif share < 0.36:
                group, false = "exchange", exchange_names(claim, rng)
            if false is not None and false != claim:
                yield group, {"claim": claim, "text": text, "label": 1}
                yield group, {"claim": false, "text": text, "label": 0}


def of_boolq(path: pathlib.Path, rng: random.Random) -> Iterator[tuple[str, Row]]:
    """Yields groups and rows of the yes-or-no questions of BoolQ."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        auxiliary, *rest = row["question"].strip().rstrip("?").split()
        if auxiliary not in AUXILIARIES or len(rest) < 3:
            continue
        title = re.sub(r"\(.*?\)", "", row["title"]).lower().split()
        lower, article = [word.lower() for word in rest], int(rest[0] in ARTICLES)
        if rest[0] in PRONOUNS:
            split = 1
        elif lower[article : article + len(title)] == title:
            split = article + len(title)
        else:
            begins = (
                n
                for n in range(1, len(rest))
                if lower[n] in PREDICATES or PARTICIPLE.fullmatch(lower[n])
            )
            split = next(begins, 1 + article)
        split = min(split, len(rest) - 1)
        negated = rng.random() < 0.4
        verb = "" if auxiliary in ("do", "does", "did") and not negated else auxiliary
        verb = f"{verb} not".replace("can not", "cannot") if negated else verb
        claim = finish(f"{' '.join(rest[:split])} {verb} {' '.join(rest[split:])}")
        keys, context = words(row["question"]), row["context"]
        best = max(sentences(context), key=lambda span: len(keys & words(context[slice(*span)])))
        label = int((row["answer"] == "yes") != negated)
        text = around(context, best[0], rng)
        yield f"yes {int(negated)} {label}", {"claim": claim, "text": text, "label": label}


# Number of rows of each group.
SIZES = {
    **{"negation": 2_600, "negate": 1_200, "opposite": 1_800, "exchange": 1_000, "absent": 350},
    **{"answer 1": 1_800, "answer 0": 1_800, "negated 1": 600, "negated 0": 600},
    **{f"yes {negated} {label}": 800 for negated in (0, 1) for label in (0, 1)},
}


def make_claims(folder: pathlib.Path, seed: int) -> list[Row]:
    """Returns claims in a random order, of which as many are true as false, negated or not.

    `folder` holds `reading/train.json` and `boolq/train.jsonl`.
    """
    rng = random.Random(seed)
    reading, boolq = folder / "reading" / "train.json", folder / "boolq" / "train.jsonl"
    articles = json.loads(reading.read_text(encoding="utf-8"))["data"]
    contexts = [
        paragraph["context"]
        for one in articles
        if one.get("source") != LEFT_OUT
        for paragraph in one["paragraphs"]
    ]
    rng.shuffle(contexts)
    sources = (of_questions(reading, rng), of_sentences(contexts, rng), of_boolq(boolq, rng))
    groups: dict[str, list[Row]] = {name: [] for name in SIZES}
    for source in sources:
        for group, row in source:
            groups[group].append(row)
    rows = []
    for name, size in SIZES.items():
        # Rows of a sentence follow each other.
        places = range(0, len(groups[name]), 2)
        pairs = [groups[name][place : place + 2] for place in places]
        rows += [row for pair in rng.sample(pairs, min(size // 2, len(pairs))) for row in pair]
    rng.shuffle(rows)
    return rows
