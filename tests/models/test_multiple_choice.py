"""`multiple_choice`: each choice alone, masked padding, batches by length, wrong labels, files."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_cases import Stop, StopAt
from small_checkpoints import with_head
from small_models import same_weights

import keras_qa
from keras_qa import Example, QuestionAnswerer
from keras_qa._numbers import MASKED
from keras_qa.answering import Reranker
from keras_qa.layers.classification_head import transformer_of
from keras_qa.models import multiple_choice, span_reader, text_classifier
from keras_qa.models.multiple_choice import MultipleChoice
from keras_qa.models.pretrained.checkpoint_writer import save_pretrained
from keras_qa.text import Windower
from keras_qa.training import train

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TEXTS = ["Mary went home. John slept.", "", "home"]
CHOICES = [["Mary", "John", "no one at all"], ["home", ""], ["a"]]


def with_weights(model: keras.Model) -> keras.Model:
    """Makes the logits of a new model differ."""
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        if len(weight.shape) == 2:
            weight.assign(random.normal(size=weight.shape, scale=0.4))
    return model


@pytest.fixture(scope="module")
def small() -> keras.Model:
    return with_weights(multiple_choice(50, units=4, embedding_dim=6, dropout=0.0))


@pytest.fixture(scope="module")
def on_encoder(tmp_path_factory) -> keras.Model:
    folder = with_head(tmp_path_factory.mktemp("bert") / "bert", "bert", "Model", {}, **NO_DROPOUT)
    model = multiple_choice(backbone=folder)
    head = model.get_layer("logits").weights
    random = np.random.default_rng(0)
    for weight in head:
        weight.assign(random.normal(size=weight.shape, scale=0.3))
    return model


def small_feed(counts=(3, 2, 6), seed=0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    feed = {
        "text": random.integers(2, 50, (len(counts), 9)),
        "question": random.integers(2, 50, (len(counts), 4)),
        "choices": random.integers(2, 50, (len(counts), max(counts), 5)),
    }
    for row, count in enumerate(counts):
        feed["choices"][row, count:] = 0
        feed["text"][row, 3 + row :] = 0
        feed["choices"][row, 0, 1 + row :] = 0
    return feed


def encoder_feed(model: keras.Model) -> tuple[dict[str, np.ndarray], np.ndarray]:
    examples = [
        Example(text, "Who slept?", choices[0], choices=choices)
        for text, choices in zip(TEXTS, CHOICES, strict=True)
    ]
    return model.preprocessor.make_training_data(model, examples)


def test_each_choice_is_read_alone_in_any_order_number_and_batch(small) -> None:
    feed = small_feed()
    expected = small.predict(feed, verbose=0)
    assert expected.dtype == np.float32
    assert small.output_names == ["choice"]
    assert (expected[0, 3:] == MASKED).all()
    assert (expected[1, 2:] == MASKED).all()
    assert expected[2].std() > 0.01
    for size in (1, 2):
        found = small.predict(feed, batch_size=size, verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    wide = {
        name: np.pad(array, [(0, 0)] + [(0, 3)] * (array.ndim - 1)) for name, array in feed.items()
    }
    np.testing.assert_allclose(small.predict(wide, verbose=0)[:, :6], expected, atol=1e-5)
    for place in range(3):
        alone = {**feed, "choices": feed["choices"][:, place : place + 1]}
        found = small.predict(alone, verbose=0)[:, 0]
        np.testing.assert_allclose(found, expected[:, place], atol=1e-5)


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(6)))
def test_another_order_gives_the_same_logits(small, order) -> None:
    feed = small_feed((6, 6, 6))
    expected = small.predict(feed, verbose=0)
    feed["choices"] = feed["choices"][:, order]
    np.testing.assert_allclose(small.predict(feed, verbose=0), expected[:, order], atol=1e-5)


def test_batches_of_2_to_50_choices_are_trimmed_with_their_labels(small) -> None:
    counts = (2, 50, 7, 3, 2, 4)
    feed, labels = small_feed(counts), np.array(counts) - 1
    logits = small.predict(feed, batch_size=2, verbose=0).astype("float64")
    assert [(row > MASKED).sum() for row in logits] == list(counts)
    masses = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = -np.log((masses / masses.sum(axis=1, keepdims=True))[range(6), labels])
    for size in (2, 6):
        loss, accuracy = small.evaluate(feed, labels, batch_size=size, verbose=0)
        assert loss == pytest.approx(expected.mean(), abs=1e-4)
        assert accuracy == pytest.approx((logits.argmax(axis=1) == labels).mean(), abs=1e-6)


def test_a_model_from_scratch_learns(small) -> None:
    model = keras.models.clone_model(small)
    model.set_weights(small.get_weights())
    model.compile(keras.optimizers.Adam(0.02), small.loss, metrics=["accuracy"])
    # TensorFlow traces a graph for longer than these steps take.
    model.run_eagerly = keras.config.backend() == "tensorflow"
    feed, labels = small_feed((3, 2, 6, 4)), np.array([2, 0, 5, 1])
    before = model.evaluate(feed, labels, verbose=0)[0]
    history = model.fit(feed, labels, epochs=25, batch_size=4, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.evaluate(feed, labels, verbose=0)[0] < 0.5 * before


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([3, 1, 0], "label at position 0 is 3, but that example has 3 choices"),
        ([0, 1, 6], r"hold 6 at \[2\], but there are 6 classes .* the choices in this feed\.$"),
        ([0, -1, 5], r"hold -1 at \[1\]"),
        ([0, 1], r"have shape \(2,\), but the inputs hold 3 examples"),
        ([0.5, 1, 1], "must be whole numbers"),
    ],
)
def test_a_wrong_label_is_an_error_and_no_weight_moves(small, labels, message) -> None:
    before = small.get_weights()
    with pytest.raises(ValueError, match=message) as caught:
        small.fit(small_feed(), labels, verbose=0)
    assert len(str(caught.value)) <= 300
    assert same_weights(small, before)


def test_an_encoder_gives_the_logits_of_its_classifier(on_encoder, tmp_path) -> None:
    feed, labels = encoder_feed(on_encoder)
    assert labels.tolist() == [0, 0, 0]
    found = on_encoder.predict(feed, verbose=0)
    rows = text_classifier(with_head(tmp_path / "bert", "bert", "Model", {}), "multiple_choice")
    rows.set_weights(on_encoder.get_weights())
    for place, (text, choices) in enumerate(zip(TEXTS, CHOICES, strict=True)):
        pairs = [text] * len(choices), [f"Who slept? {choice}" for choice in choices]
        expected = rows.predict(rows.preprocessor.make_feed(rows, *pairs), verbose=0)[:, 0]
        np.testing.assert_allclose(found[place, : len(choices)], expected, atol=1e-5)
        assert (found[place, len(choices) :] == MASKED).all()
    again = on_encoder.predict(feed, batch_size=1, verbose=0)
    np.testing.assert_allclose(again, found, atol=1e-5)


def test_ids_and_lengths_of_an_encoder_are_checked(on_encoder) -> None:
    feed, _ = encoder_feed(on_encoder)
    with pytest.raises(ValueError, match=r"`token_ids` holds id 5\d\d at \[0, 0, 0\], but its voc"):
        on_encoder.predict({**feed, "token_ids": feed["token_ids"] + 500}, verbose=0)
    wide = {name: np.pad(array, [(0, 0), (0, 0), (0, 99)]) for name, array in feed.items()}
    with pytest.raises(ValueError, match="positions, but the model takes at most 64"):
        on_encoder.predict(wide, verbose=0)


def test_one_file_or_folder_holds_all_of_a_model(small, on_encoder, tmp_path) -> None:
    feed, labels = encoder_feed(on_encoder)
    for model, arrays in ((small, small_feed()), (on_encoder, feed)):
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert type(loaded) is MultipleChoice
        expected = model.predict(arrays, verbose=0)
        np.testing.assert_allclose(loaded.predict(arrays, verbose=0), expected, atol=1e-6)
    loaded.fit(feed, labels, epochs=1, batch_size=2, verbose=0)
    save_pretrained(on_encoder, tmp_path / "folder")
    published = keras_qa.load(tmp_path / "folder").model_
    np.testing.assert_allclose(published.predict(feed, verbose=0), expected, atol=1e-6)
    assert published.preprocessor.get_config() == on_encoder.preprocessor.get_config()


def test_lora_trains_few_weights(tmp_path) -> None:
    folder = with_head(tmp_path / "bert", "bert", "Model", {})
    model = multiple_choice(backbone=folder, lora_rank=2)
    assert transformer_of(model).lora_rank == 2
    counts = [sum(map(np.size, part)) for part in (model.trainable_weights, model.weights)]
    assert counts[0] < 0.5 * counts[1]


TEXT = "Mary went home. John slept there. She went to the bathroom."
QUESTION = "Where did she go?"
STARTS = [
    Example(TEXT, QUESTION, right, choices=("home", "the bathroom"))
    for right in ("home", "the bathroom")
]


@pytest.fixture(scope="module")
def ranker(tmp_path_factory) -> Reranker:
    """A small ranker that was saved, whose logits differ."""
    folder = tmp_path_factory.mktemp("ranker")
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    ranker = Reranker(
        text_classifier(
            with_head(folder / "a", "bert", "Model", {}, **dropout),
            "sequence_classification",
            num_labels=1,
        )
    )
    with_weights(ranker.model_)
    ranker.save(folder / "ranker.keras")
    ranker.path = folder / "ranker.keras"
    return ranker


def test_a_ranker_as_backbone_chooses_as_it_ranks(ranker, tmp_path) -> None:
    qa = QuestionAnswerer("multiple_choice", {"backbone": ranker.path}).fit(
        STARTS, epochs=0, verbose=0
    )
    asked = [f"{QUESTION} {choice}" for choice in STARTS[0].choices]

    def expected(parts: list[str]) -> np.ndarray:
        logits = [row.max() for row in ranker.logits(asked, [parts] * 2)]
        return np.exp(logits - np.logaddexp.reduce(logits))

    def scores(qa: QuestionAnswerer, **options) -> np.ndarray:
        ranked = qa.answer(TEXT, QUESTION, choices=STARTS[0].choices, top_k=2, **options)
        by_text = {answer.text: answer.score for answer in ranked}
        return np.array([by_text[choice] for choice in STARTS[0].choices])

    np.testing.assert_allclose(scores(qa), expected([TEXT]), atol=1e-5)
    # Of a long text the highest logit of a window counts.
    windower = Windower(ranker.model_.preprocessor.vectorizer.tokenizer, 32, 4)
    offsets = windower([Example(TEXT, asked[1])]).offsets
    parts = [TEXT[row[row[:, 0] >= 0][0, 0] : row.max()] for row in offsets]
    assert len(parts) > 1
    assert np.ptp(expected(parts) - expected([TEXT])) > 1e-3
    np.testing.assert_allclose(scores(qa, max_length=32, stride=4), expected(parts), atol=1e-5)
    # A file and a folder keep the order of question and text.
    qa.save(tmp_path / "qa.keras")
    qa.save_pretrained(tmp_path / "folder")
    for name in ("qa.keras", "folder"):
        np.testing.assert_allclose(scores(keras_qa.load(tmp_path / name)), scores(qa), atol=1e-5)


def test_each_choice_learns_from_its_own_window(ranker) -> None:
    model = multiple_choice(backbone=ranker.model_)
    preprocessor = model.preprocessor.with_options(model, max_length=24, stride=0)
    feed, labels = preprocessor.make_training_data(model, STARTS)
    assert labels.tolist() == [0, 1]
    tokenizer = preprocessor.vectorizer.tokenizer
    for row, (choice, window) in enumerate((("home", "went home"), ("the bathroom", "bathroom"))):
        first = tokenizer.encode(f"{QUESTION} {choice}")[0].tolist()
        ids = feed["token_ids"][0, row].tolist()
        assert ids[: len(first) + 2] == [2, *first, 3]
        assert tokenizer.encode(window)[0].tolist()[0] in ids[len(first) + 2 :]


def test_epoch_0_counts_and_a_resumed_run_ends_as_an_unbroken_one(ranker, tmp_path) -> None:
    before = multiple_choice(backbone=ranker.model_).get_weights()
    right = QuestionAnswerer("multiple_choice", {"backbone": ranker.path})
    choice = right.fit(STARTS, epochs=0, verbose=0).answer(STARTS[0]).text
    valid = [item for item in STARTS if item.answers[0] == choice]
    wrong = 2 * [item for item in STARTS if item.answers[0] != choice]
    options = {"model_options": {"backbone": ranker.path}, "verbose": 0}
    options["recipe"] = {"epochs": 2, "batch_size": 1, "learning_rate": 0.01, "patience": 9}
    done = train(wrong, valid, "multiple_choice", **options)
    assert done.runs[0].best_epoch == 0
    assert same_weights(done.answerer.model_, before)
    options["recipe"] = {**options["recipe"], "keep": "last"}
    unbroken = train(wrong, valid, "multiple_choice", **options)
    assert unbroken.answerer.answer(STARTS[0]).text != choice
    out = tmp_path / "qa.keras"
    with pytest.raises(Stop):
        train(wrong, valid, "multiple_choice", out=out, callbacks=[StopAt(1)], **options)
    resumed = train(wrong, valid, "multiple_choice", out=out, resume=True, **options)
    assert same_weights(resumed.answerer.model_, unbroken.answerer.model_.get_weights())


def test_a_reader_as_backbone_gives_its_encoder(tmp_path) -> None:
    reader = span_reader(backbone=with_head(tmp_path / "bert", "bert", "Model", {}))
    model = multiple_choice(backbone=reader, lora_rank=2, dtype="mixed_bfloat16")
    encoder = transformer_of(model)
    assert (encoder.lora_rank, encoder.dtype_policy.name) == (2, "mixed_bfloat16")
    words = [layer.tokens.get_weights()[0] for layer in (encoder, transformer_of(reader))]
    np.testing.assert_array_equal(*words)
    feed, labels = model.preprocessor.make_training_data(model, STARTS)
    model.fit(feed, labels, epochs=1, verbose=0)
    for wrong in (multiple_choice(50, units=4), model):
        with pytest.raises(ValueError, match="^`backbone` must be an encoder, or a ra") as error:
            multiple_choice(backbone=wrong)
        assert len(str(error.value)) <= 300
