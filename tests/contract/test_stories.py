"""Models over stories: feeds, padding, the order of words, losses, evidence."""

import re

import keras
import numpy as np
import pytest
from layer_cases import STATE, STORIES
from small_models import same_weights

import keras_qa
from keras_qa import layers
from keras_qa.execution.graph import model_inputs
from keras_qa.inputs.arrays import to_arrays
from keras_qa.models.evidence import Evidence
from keras_qa.objectives import SupportLoss

TEXT = np.array([[[5, 6, 7], [8, 0, 0]], [[9, 3, 0], [0, 0, 0]]], "int32")
QUESTION = np.array([[2, 3], [4, 0]], "int32")


def universal(**options) -> keras_qa.models.QAModel:
    settings = {"embedding_dim": 16, "num_steps": 2, "num_heads": 2, "dropout": 0.0, **options}
    return keras_qa.models.universal_transformer(12, None, 4, **settings)


def memory(**options) -> keras_qa.models.QAModel:
    settings = {"embedding_dim": 8, "num_hops": 2, **options}
    return keras_qa.models.memory_network(12, None, 4, **settings)


@pytest.fixture(scope="module")
def untrained() -> dict[str, keras_qa.models.QAModel]:
    keras.utils.set_random_seed(0)
    return {
        "universal": universal(),
        "memory": memory(),
        "universal with facts": universal(supporting_facts=True),
        "memory with facts": memory(supporting_facts=True, tying="layer"),
    }


every_model = pytest.mark.parametrize(
    "name", ["universal", "memory", "universal with facts", "memory with facts"]
)


def answers(model: keras.Model, feed) -> np.ndarray:
    outputs = model.predict(feed, verbose=0)
    return outputs["answer"] if isinstance(outputs, dict) else outputs


def test_sizes_are_those_of_the_arguments() -> None:
    model = universal(hidden_dim=5, max_words=3, max_sentences=6)
    words = 12 * 16 + 2 * 3 * 8 + 8 * 16 * 16
    signals = 6 * 16 + 16 + 2 * 16 + 4 * 2
    block = 16 * 48 + 48 + 16 * 16 + 16 + 16 * 5 + 5 + 5 * 16 + 16 + 3 * 2 * 16
    previous = 16 * 16 + 16 + 1
    assert model.count_params() == words + previous + signals + block + 16 * 4 + 4
    assert universal().get_layer("reasoner").hidden_dim == 64
    # One more tells whether hops are linear.
    assert memory(max_sentences=6).count_params() == 3 * (12 * 8 + 6 * 8) + 8 * 4 + 4 + 1
    tied = memory(tying="layer", max_sentences=6)
    assert tied.count_params() == 2 * (12 * 8 + 6 * 8) + 8 * 8 + 8 * 4 + 4 + 1
    assert [tensor.shape for tensor in model.inputs] == [(None, None, None), (None, None)]
    assert model.output.shape == (None, 4)
    assert float(model.optimizer.learning_rate) == pytest.approx(1.5e-3)


def test_vocabularies_are_shared_or_not() -> None:
    sizes = [
        {item.name: item.vocabulary_size for item in model_inputs(factory(10, asked, 4))}
        for factory in (keras_qa.models.universal_transformer, keras_qa.models.memory_network)
        for asked in (None, 15)
    ]
    shared, larger, same, apart = sizes
    assert shared == same == {"text": 10, "question": 10}
    assert larger == {"text": 15, "question": 15}
    assert apart == {"text": 10, "question": 15}


@every_model
def test_padding_never_counts(untrained, name: str) -> None:
    model = untrained[name]
    assert all(item.ignores_padding for item in model_inputs(model))
    expected = model.predict([TEXT, QUESTION], verbose=0)
    wider = [np.pad(TEXT, [(0, 0), (0, 3), (0, 2)]), np.pad(QUESTION, [(0, 0), (0, 3)])]
    for outputs in (model.predict(wider, verbose=0), model.predict_on_batch(wider)):
        if isinstance(outputs, dict):
            assert outputs["support"].shape == (2, 5)
            np.testing.assert_allclose(outputs["support"][:, :2], expected["support"], atol=1e-6)
            assert not outputs["support"][:, 2:].any()
            assert not outputs["support"][1, 1:].any()
            np.testing.assert_allclose(outputs["answer"], expected["answer"], atol=1e-6)
        else:
            np.testing.assert_allclose(outputs, expected, atol=1e-6)


@every_model
def test_order_of_words_and_of_sentences_counts(untrained, name: str) -> None:
    base = answers(untrained[name], [TEXT, QUESTION])[0]
    words = answers(untrained[name], [TEXT[:, :, [1, 0, 2]], QUESTION])[0]
    sentences = answers(untrained[name], [TEXT[:, ::-1], QUESTION])[0]
    assert np.abs(words - base).max() > 1e-5
    assert np.abs(sentences - base).max() > 1e-5


@every_model
def test_lists_and_dicts_are_fed_alike(untrained, name: str) -> None:
    model = untrained[name]
    expected = answers(model, [TEXT, QUESTION])
    ragged = [[[5, 6, 7], [8]], [[9, 3]]]
    for feed in ((TEXT, QUESTION), {"question": QUESTION, "text": TEXT}, [ragged, QUESTION]):
        np.testing.assert_allclose(answers(model, feed), expected, atol=1e-6)


@pytest.mark.parametrize("roles", [1, 4])
def test_word_starts_out_as_much_the_same_wherever_it_stands(roles: int) -> None:
    keras.utils.set_random_seed(0)
    encoder = layers.SentenceEncoder(200, 64, "roles", num_roles=roles)

    def made_of(place: int) -> np.ndarray:
        """What a word instead of another adds to a sentence of four."""
        ids = np.full((2, 198, 4), 1)
        ids[0, :, place], ids[1, :, place] = np.arange(2, 200), np.roll(np.arange(2, 200), 1)
        vectors = keras.ops.convert_to_numpy(encoder(ids))
        return vectors[0] - vectors[1]

    one, other = made_of(0), made_of(3)
    alike = np.sum(one * other) / np.sqrt(np.sum(one * one) * np.sum(other * other))
    places = keras.ops.convert_to_numpy(encoder.places)
    np.testing.assert_array_equal(places[..., 0], 0.5)
    # The matrices are noise of the size of one, and the first role's has an identity in it.
    first, fourth = places[0, 0] + places[1, 3], places[0, 3] + places[1, 0]
    sizes = np.sqrt((1 + first @ first) * (1 + fourth @ fourth))
    assert alike == pytest.approx((1 + first @ fourth) / sizes, abs=0.05)


def test_empty_stories_are_stories(untrained) -> None:
    for feed in ([[], [[5]]], [[], []], [[[]], []]):
        arrays = to_arrays([feed, QUESTION], untrained["universal"])
        assert arrays["text"].shape == (2, 1, 1)
        assert arrays["text"].sum() == np.sum([len(row) and sum(row[0]) for row in feed])


BAD_FEEDS = {
    "rank 2": (
        [TEXT[0], QUESTION],
        "`text` has rank 2 and shape (2, 3), but expected rank 3: (batch, sentences, words). Give "
        "each example as sentences, and each sentence as word ids.",
    ),
    "rank 4": ([TEXT[None], QUESTION], "`text` has rank 4"),
    "id": (
        [TEXT + 4, QUESTION],
        "`text` holds id 12 at [0, 1, 0], but its vocabulary has 12 entries (ids 0 to 11). Build "
        "the model with `text_vocabulary_size=14` or more",
    ),
    "negative id": ([TEXT - 1, QUESTION], "`text` holds id -1 at [0, 1, 1]"),
    "floats": ([TEXT * 1.0, QUESTION], "`text` has dtype float64, but ids must be integers"),
    "words": ([[[["Mary"]]], [[1]]], "`text` holds the string 'Mary'"),
    "rows": ([[[5, 6], [[7]]], QUESTION], "`text`: Row 0 is [5, 6], but other rows"),
    "sizes": ([TEXT, QUESTION[:1]], "`text` holds 2 examples, but `question` holds 1"),
    "nobody": ([TEXT[:0], QUESTION[:0]], "`text` holds no examples"),
}


@pytest.mark.parametrize("kind", BAD_FEEDS)
def test_bad_feed_is_named_and_moves_no_weight(untrained, kind: str) -> None:
    model = untrained["universal"]
    before = model.get_weights()
    feed, message = BAD_FEEDS[kind]
    for use in (model.predict, lambda feed: model.fit(feed, [0, 1], verbose=0)):
        with pytest.raises((ValueError, TypeError), match=re.escape(message)) as caught:
            use(feed)
        assert "\n" not in str(caught.value)
    assert same_weights(model, before)


def test_layers_behind_sentences_may_read_padding() -> None:
    text = keras.Input((None, None), dtype="int32", name="text")
    sentences = layers.SentenceEncoder(12, 4)(text)
    timed = layers.TemporalEncoding(5)(sentences)
    for vector, ignored in (
        (keras.ops.sum(sentences, axis=1), False),
        (keras.ops.max(timed, axis=1), False),
        (layers.MemoryHops(1)([keras.ops.ones_like(timed[:, 0]), timed, timed]), False),
        (layers.SentenceEncoder(12, 4)(keras.ops.reshape(text, (-1, 6))), False),
    ):
        model = keras.Model([text], vector)
        assert [item.ignores_padding for item in model_inputs(model)] == [ignored]
    inner_text = keras.Input((None, None), dtype="int32", name="inner")
    inner = keras.Model(
        inner_text, layers.TemporalEncoding(5)(layers.SentenceEncoder(12, 4)(inner_text))
    )
    for make, ignored in ((layers.TemporalEncoding(5), True), (keras.layers.Dense(2), False)):
        model = keras.Model([text], make(inner(text)))
        assert [item.ignores_padding for item in model_inputs(model)] == [ignored]


def many(rows: int = 40, seed: int = 0):
    """Stories of one to nine sentences of one to six words, questions, answers and facts."""
    rng = np.random.default_rng(seed)
    there = np.arange(9) < rng.integers(1, 10, rows)[:, None]
    words = np.arange(6) < rng.integers(1, 7, (rows, 9))[..., None]
    text = rng.integers(1, 12, (rows, 9, 6)) * (there[..., None] & words)
    question = rng.integers(1, 12, (rows, 4))
    facts = there & (rng.random((rows, 9)) < 0.3)
    return [text, question], rng.integers(0, 4, rows), facts.astype("float32")


@every_model
def test_buckets_change_no_number(untrained, name: str) -> None:
    model = untrained[name]
    feed, labels, facts = many()
    targets = {"answer": labels, "support": facts} if "facts" in name else labels
    outputs = [
        keras.tree.flatten(model.predict(feed, 8, verbose=0, length_buckets=buckets))
        for buckets in (True, False)
    ]
    for one, other in zip(*outputs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    scores = [
        model.evaluate(feed, targets, 8, verbose=0, length_buckets=buckets)
        for buckets in (True, False)
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)


def test_support_loss_adds_up_over_sentences() -> None:
    chances = np.array([[0.5, 0.25, 0.0], [1.0, 0.0, 0.0]], "float32")
    facts = np.array([[1, 0, 0], [1, 0, 0]], "float32")
    expected = (-np.log(0.5) - np.log(0.75)) / 2
    for width in (1, 2, 3, 6):
        labels = np.pad(facts[:, :width], [(0, 0), (0, max(width - 3, 0))])
        assert float(SupportLoss()(labels, chances)) == pytest.approx(expected, abs=1e-5)


def test_halting_costs_the_steps_it_takes() -> None:
    layer = layers.UniversalTransformerEncoder(3, 2, 8, halting=True, ponder_cost=0.5)
    inputs, mask = [STATE, STORIES[0]], [None, (STORIES[0] != 0).any(axis=-1)]
    layer(inputs)
    weights = layer.get_weights()
    names = [weight.path for weight in layer.weights]
    (bias,) = (place for place, name in enumerate(names) if name.endswith("halt/bias"))
    (kernel,) = (place for place, name in enumerate(names) if name.endswith("halt/kernel"))
    weights[kernel][:] = 0.0
    # Chances of 0.4: the third of three steps is the last, with 0.2 left. Of 0.999: the first is.
    for chance, cost in ((0.4, 3 + 0.2), (0.999, 1 + 1.0)):
        weights[bias][:] = np.log(chance / (1 - chance))
        layer.set_weights(weights)
        layer(inputs, mask=mask, training=True)
        loss = float(keras.ops.convert_to_numpy(layer.losses[-1]))
        assert loss == pytest.approx(0.5 * cost, rel=1e-5)


def test_places_start_out_as_waves() -> None:
    for width in (5, 6):
        layer = layers.TemporalEncoding(40)
        layer.build((None, None, width))
        # From one radian a sentence down to a hundredth of one.
        waves = [f(39 * rate) for rate in (1.0, 0.1, 0.01) for f in (np.sin, np.cos)]
        places = keras.ops.convert_to_numpy(layer.places)
        np.testing.assert_allclose(places[39], 0.42 * np.array(waves[:width]), atol=1e-6)


def test_noise_moves_all_sentences_but_the_last() -> None:
    layer = layers.TemporalEncoding(40, noise=0.5)
    sentences = np.ones((200, 10, 1), "float32")
    mask = np.arange(10) < np.arange(200)[:, None] % 10 + 1
    layer(sentences)
    layer.set_weights([np.arange(40.0)[:, None]])

    def ages(training: bool) -> np.ndarray:
        outputs = layer(sentences, mask=mask, training=training)
        return np.where(mask, keras.ops.convert_to_numpy(outputs)[..., 0] - 1, -1)

    still = np.where(mask, mask.sum(axis=1, keepdims=True) - 1 - np.arange(10), -1)
    np.testing.assert_array_equal(ages(False), still)
    moved = ages(True)
    assert (moved[still == 0] == 0).all()
    assert (moved >= still)[mask].all()
    assert (np.diff(moved, axis=1)[mask[:, 1:]] < 0).all()
    assert (moved[still == 9] - 9).mean() == pytest.approx(4.5, abs=1.5)
    assert not np.array_equal(ages(True), moved)


@pytest.mark.parametrize("name", ["universal", "memory with facts"])
def test_saved_model_is_the_same(untrained, name: str, tmp_path) -> None:
    model = untrained[name]
    feed, labels, facts = many(5)
    model.train_on_batch(feed, {"answer": labels, "support": facts} if "facts" in name else labels)
    model.save(tmp_path / "stories.keras")
    loaded = keras.saving.load_model(tmp_path / "stories.keras")
    np.testing.assert_array_equal(answers(loaded, feed), answers(model, feed))


def test_half_precision_gives_probabilities() -> None:
    for model in (universal(dtype="mixed_bfloat16"), memory(dtype="mixed_float16")):
        result = answers(model, [TEXT, QUESTION])
        assert result.dtype == "float32"
        np.testing.assert_allclose(result.sum(axis=1), 1.0, atol=1e-5)


def test_nothing_but_padding_trains_to_finite_weights() -> None:
    model = universal(halting=True, supporting_facts=True)
    empty = [np.zeros((2, 3, 4), "int32"), np.zeros((2, 2), "int32")]
    targets = {"answer": [1, 2], "support": np.zeros((2, 3))}
    losses = model.train_on_batch(empty, targets)
    assert np.isfinite(losses).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@every_model
def test_evidence_is_the_models_own(untrained, name: str) -> None:
    model = untrained[name]
    feed, _, _ = many(11)
    there = feed[0].any(axis=-1)
    found = model.evidence().predict(feed, batch_size=4)
    outputs = model.predict(feed, verbose=0)
    np.testing.assert_allclose(found["answer"], answers(model, feed), atol=1e-5)
    assert found["attention"].shape == (11, 2, 9)
    assert not found["attention"][~np.stack([there] * 2, axis=1)].any()
    assert not found["support"][~there].any()
    if "facts" in name:
        np.testing.assert_allclose(found["support"], outputs["support"], atol=1e-5)
    else:
        np.testing.assert_allclose(found["support"].sum(axis=1), 1.0, atol=1e-5)
    if "memory" in name:
        np.testing.assert_allclose(found["attention"].sum(axis=2), 1.0, atol=1e-5)


def test_evidence_follows_the_weights() -> None:
    model = memory()
    before = model.evidence()
    assert model.evidence() is before
    feed, labels, _ = many(8)
    model.fit(feed, labels, verbose=0)
    assert before.is_outdated()
    after = model.evidence()
    assert not after.is_outdated()
    np.testing.assert_allclose(after.predict(feed)["answer"], answers(model, feed), atol=1e-5)


def test_models_without_attention_have_no_evidence() -> None:
    with pytest.raises(NotImplementedError, match="no one layer whose attention"):
        Evidence(keras_qa.models.answer_classifier(9, 9, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.SentenceEncoder(5, encoding="bag"), "`encoding` must be one of.*'bag'"),
        (lambda: layers.SentenceEncoder(5, cell="rnn"), '"lstm" or "gru".*cell='),
        (lambda: layers.SentenceEncoder(5, max_words=0), "`max_words` must be a positive"),
        (lambda: layers.SentenceEncoder(5, 6, "attention"), "multiple of 4, the number of heads"),
        (lambda: layers.SentenceEncoder(5, 6, "roles", num_roles=0), "`num_roles` must be"),
        (lambda: layers.SentenceEncoder(5, 7, "recurrent"), "multiple of 2, the number of direct"),
        (lambda: layers.TemporalEncoding(5, noise=1.0), "`noise` must be at least 0 and below 1"),
        (lambda: layers.TemporalEncoding(0), "`max_sentences` must be a positive integer"),
        (lambda: layers.MemoryHops(tying="all"), '"adjacent" or "layer".*tying='),
        (lambda: layers.MemoryHops(3)([STATE, STORIES[0]]), "the state and 4 encodings.*: 2 tens"),
        (lambda: layers.SupportHead(0), "`hidden_dim` must be a positive integer"),
        (
            lambda: layers.UniversalTransformerEncoder(2, 4)([STATE, STORIES[0]]),
            "`num_heads` must divide the number of features, which is 6. Received: num_heads=4",
        ),
        (
            lambda: layers.UniversalTransformerEncoder(ponder_cost=-1),
            "`ponder_cost` must not be negative",
        ),
    ],
)
def test_bad_arguments_are_named(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
