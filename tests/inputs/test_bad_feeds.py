"""Bad feeds, drawn by a seed: each is refused in one line, and moves no weight."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import ANSWERS, TEXT_VOCABULARY, batch, same_weights

ROWS = 6
METHODS = ("fit", "evaluate", "train_on_batch", "test_on_batch", "predict", "predict_on_batch")
LABELLED = METHODS[:4]

Draw = random.Random

# What is no array of numbers, whatever is expected.
NO_NUMBERS: list[Callable[[Draw], Any]] = [
    lambda draw: None,
    lambda draw: draw.choice(["", "text", "Where is Mary?\nIn the garden." * 50]),
    lambda draw: draw.choice([object(), datetime.date(2026, 1, 1), print, ...]),
    lambda draw: {"of": {"another": "kind"}},
    lambda draw: [["a", "b"]] * ROWS,
    lambda draw: [[None] * 3] * ROWS,
    lambda draw: [[1, "two", 3.0]] * ROWS,
    lambda draw: np.array([["word"] * 4] * ROWS),
    lambda draw: np.array([[object()] * 4] * ROWS),
    lambda draw: np.full((ROWS, 4), 1 + 1j),
    lambda draw: np.full((ROWS, 4), np.datetime64("2026-01-01")),
    lambda draw: [[[1], 2, [[3]]]] * ROWS,
    lambda draw: [b"bytes"] * ROWS,
    lambda draw: np.zeros(ROWS, [("a", "int32"), ("b", "int32")]),
]


def numbers(draw: Draw, rows: int = ROWS, *more: int) -> np.ndarray:
    rng = np.random.default_rng(draw.randrange(2**32))
    return rng.integers(1, ANSWERS, (rows, *more), dtype="int32")


BAD_IDS: list[Callable[[Draw], Any]] = [
    *NO_NUMBERS,
    lambda draw: draw.choice([1, 2.5, True, np.int32(3)]),
    lambda draw: numbers(draw),
    lambda draw: numbers(draw, ROWS, 2, 2),
    lambda draw: numbers(draw, ROWS, 1, 1, 1, 1),
    lambda draw: numbers(draw, 0, 3),
    lambda draw: numbers(draw, draw.choice([1, 5, 7, 100]), 3),
    lambda draw: -numbers(draw, ROWS, 3),
    lambda draw: numbers(draw, ROWS, 3) + draw.choice([TEXT_VOCABULARY, 10**6]),
    lambda draw: numbers(draw, ROWS, 3).astype("int64") + 2**40,
    lambda draw: numbers(draw, ROWS, 3).astype("uint64") + np.uint64(2**63),
    lambda draw: numbers(draw, ROWS, 3).astype(draw.choice(["float16", "float32", "float64"])),
    lambda draw: np.where(numbers(draw, ROWS, 3) > 2, draw.choice([np.nan, np.inf]), 1.0),
    lambda draw: np.ma.masked_array(numbers(draw, ROWS, 3), mask=np.eye(ROWS, 3)),
    lambda draw: [[10**30, 1]] * ROWS,
    lambda draw: [[1, 2]] * (ROWS - 1) + [3],
]

BAD_LABELS: list[Callable[[Draw], Any]] = [
    *NO_NUMBERS[1:],
    lambda draw: numbers(draw, draw.choice([0, 1, 5, 7])),
    lambda draw: numbers(draw) + ANSWERS,
    lambda draw: -numbers(draw),
    lambda draw: numbers(draw) + 0.5,
    lambda draw: np.full(ROWS, draw.choice([np.nan, np.inf])),
    lambda draw: numbers(draw, ROWS, 2),
    lambda draw: np.ones((ROWS, ANSWERS)),
    lambda draw: np.full((ROWS, ANSWERS), 1 / ANSWERS),
    lambda draw: numbers(draw, ROWS, 2, 2),
    lambda draw: {"answers": numbers(draw)},
    lambda draw: {str(key): numbers(draw) for key in range(draw.choice([2, 50_000]))},
]

BAD_WEIGHTS: list[Callable[[Draw], Any]] = [
    *NO_NUMBERS[1:3],
    *NO_NUMBERS[4:],
    lambda draw: np.ones(draw.choice([0, 1, 5, 7])),
    lambda draw: -np.ones(ROWS),
    lambda draw: np.ones((ROWS, draw.choice([2, 3, 7]))),
    lambda draw: {"answers": np.ones(ROWS)},
    lambda draw: {"answer": np.ones(ROWS - 1)},
    lambda draw: np.full(ROWS, draw.choice([np.nan, np.inf, 1e39, 1e300])),
]


def bad_container(draw: Draw) -> Any:
    (text, question), _ = batch(ROWS)
    return draw.choice(
        [
            [],
            (),
            {},
            [text],
            [text, question, text],
            {"text": text},
            {"text": text, "questoin": question},
            {"text": text, "question": question, "more": text},
            {0: text, 1: question},
            {f"column {place}": text for place in range(draw.choice([3, 50_000]))},
            text,
            {"text": text, "question": question[:-1]},
            [[text, question]],
        ]
    )


def bad_call(draw: Draw) -> tuple[str, dict[str, Any]]:
    """A method, and arguments of which one is bad."""
    method = draw.choice(METHODS)
    feed, labels = batch(ROWS)
    arguments: dict[str, Any] = {"x": feed}
    if method in LABELLED:
        arguments["y"] = labels
    if method in ("fit", "evaluate", "predict"):
        arguments["verbose"] = 0
    kinds = ["ids", "container", *(["labels", "weights"] if method in LABELLED else [])]
    kind = draw.choice(kinds)
    if kind == "ids":
        place = draw.randrange(2)
        feed = [*feed[:place], draw.choice(BAD_IDS)(draw), *feed[place + 1 :]]
        arguments["x"] = draw.choice([feed, dict(zip(("text", "question"), feed, strict=True))])
    elif kind == "container":
        arguments["x"] = bad_container(draw)
    elif kind == "labels":
        arguments["y"] = draw.choice(BAD_LABELS)(draw)
    else:
        arguments["sample_weight"] = draw.choice(BAD_WEIGHTS)(draw)
    return method, arguments


@pytest.mark.parametrize(
    "seeds", [range(150), pytest.param(range(150, 1000), marks=pytest.mark.full)], ids=str
)
def test_bad_feeds_are_refused_in_one_line(kept_models, seeds: range) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    taken = []
    for seed in seeds:
        method, arguments = bad_call(random.Random(seed))
        try:
            getattr(model, method)(**arguments)
        except (TypeError, ValueError) as error:
            message = str(error)
            if "\n" in message or not 20 <= len(message) <= 300:
                taken.append((seed, method, f"{type(error).__name__}: {message[:400]}"))
        except Exception as error:  # noqa: BLE001
            taken.append((seed, method, repr(error)[:300]))
        else:
            taken.append((seed, method, "taken", str(arguments)[:300]))
    assert not taken, "\n".join(map(str, taken))
    assert same_weights(model, before)


POSITIVE, NON_NEGATIVE = "must be a positive integer. Received: ", "must be a non-negative integer."


@pytest.mark.parametrize(
    ("methods", "name", "values", "message"),
    [
        (("fit", "evaluate", "predict"), "batch_size", (0, -1, 1.5, True, "a"), POSITIVE),
        (("evaluate", "predict"), "steps", (0, "a"), POSITIVE),
        (("fit",), "validation_batch_size", (0, True), POSITIVE),
        (("fit",), "validation_freq", (0, "a", [0]), POSITIVE),
        (("fit",), "steps_per_epoch", (0, "a"), POSITIVE),
        (("fit",), "epochs", (None, -1, 1.5, True), NON_NEGATIVE),
        (("fit",), "initial_epoch", (-1, "a"), NON_NEGATIVE),
        (("fit",), "validation_split", ("a", 1), "must be between 0 and 1, and needs arrays"),
        (("fit", "train_on_batch"), "class_weight", ([1.0] * 7, "a"), "must be a dict from the"),
        (("fit", "evaluate"), "sample_weight", (np.ones((ROWS, 3)),), f"has shape ({ROWS}, 3)"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(
    kept_models, methods: tuple[str, ...], name: str, values: tuple[Any, ...], message: str
) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    feed, labels = batch(ROWS)
    for method in methods:
        arguments = {"x": feed, **({"y": labels} if method in LABELLED else {})}
        for value in values:
            with pytest.raises((TypeError, ValueError)) as caught:
                getattr(model, method)(**arguments, **{name: value})
            assert str(caught.value).startswith(f"`{name}` {message}")
            assert "\n" not in str(caught.value)
    with pytest.raises(
        ValueError, match=r"^`class_weight\[0\]` must be a number\. Received: .*'a'"
    ):
        model.fit(feed, labels, class_weight={0: "a"}, verbose=0)
    assert same_weights(model, before)


def test_integers_of_numpy_and_weights_in_a_column_are_taken(twins) -> None:
    feed, labels = batch(ROWS)
    weights = np.linspace(0.5, 2, ROWS)
    for model, number, column in zip(
        twins, (int, np.int64), (weights, weights[:, None]), strict=True
    ):
        model.fit(
            feed,
            labels,
            batch_size=number(3),
            epochs=number(2),
            initial_epoch=number(0),
            validation_data=(feed, labels),
            validation_freq=number(1),
            sample_weight=column,
            shuffle=False,
            verbose=0,
        )
        assert model.predict(feed, batch_size=number(4), verbose=0).shape == (ROWS, ANSWERS)
    assert same_weights(twins[0], twins[1].get_weights())
