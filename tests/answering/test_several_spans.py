"""`answer(all_spans=True)`: readers that learn to mark several spans."""

import keras
import pytest
from small_examples import COLOURS
from small_models import same_weights

import keras_qa
from keras_qa import Example, QuestionAnswerer

THINGS = ("door", "box")


def example(thing: str, *shades: str) -> Example:
    """One or two colours in a text of eight words."""
    text = f"the {thing} is {' and '.join(shades)}{' now .' if len(shades) == 1 else '.'}"
    places = [text.index(shade) for shade in shades]
    return Example(text, f"What colours has the {thing}?", shades, places, all_spans=True)


DATA = [example(thing, shade) for thing in THINGS for shade in COLOURS]
DATA += [example(t, one, two) for t in THINGS for one in COLOURS for two in COLOURS if one != two]


@pytest.fixture(scope="module")
def several() -> QuestionAnswerer:
    sizes = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
    sizes["optimizer"] = keras.optimizers.Adam(0.03)
    qa = QuestionAnswerer("span_reader", sizes, seed=1)
    return qa.fit(DATA, validation_data=DATA, epochs=1, steps_per_epoch=30, verbose=0)


def test_all_spans_are_found(several, tmp_path) -> None:
    assert several.evaluate(DATA) == {"exact_match": 100.0, "f1": 100.0, "examples": 18}
    assert 0.02 < several.model_.preprocessor.decoder.span_threshold < 0.5
    text, question = DATA[-1].text, DATA[-1].question
    found = several.answer(text, question, all_spans=True)
    assert sorted(answer.text for answer in found) == ["blue", "green"]
    assert found[0] == several.answer(text, question)
    rows = several.answer([text, DATA[0].text, ""], [question] * 3, all_spans=True)
    assert [len(row) for row in rows] == [2, 1, 0]
    assert several.answer([], [], all_spans=True) == []
    # Without training, `fit` fits the threshold.
    threshold = several.model_.preprocessor.decoder.span_threshold
    before = several.model_.get_weights()
    again = QuestionAnswerer(several.model_)
    again.fit(DATA, validation_data=DATA, epochs=0, verbose=0)
    assert again.model_.preprocessor.decoder.span_threshold == threshold
    assert same_weights(again.model_, before)
    several.save(tmp_path / "several.keras")
    loaded = keras_qa.load(tmp_path / "several.keras")
    again = loaded.answer(text, question, all_spans=True)
    assert [(one.text, one.start) for one in again] == [(one.text, one.start) for one in found]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("several", {"top_k": 2}, "`top_k` and `all_spans` exclude each other. Leave one of them"),
        ("several", {"all_spans": 1}, "`all_spans` must be `True` or `False`. Received: all_spans"),
        ("classifier", {}, "`all_spans` is for span readers, but the model answers with words"),
    ],
)
def test_bad_use(name: str, options, message: str, request) -> None:
    qa = request.getfixturevalue(name)
    before = qa.model_.get_weights()
    with pytest.raises(ValueError, match=message) as caught:
        qa.answer("the box is red.", "What?", **{"all_spans": True, **options})
    assert "\n" not in str(caught.value)
    assert same_weights(qa.model_, before)
