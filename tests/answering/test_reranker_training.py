"""Training of rankers: what is learned, what is saved, and what raises before a weight moves."""

import shutil

import keras
import numpy as np
import pytest
from small_checkpoints import cross_encoder, encoder_of_one_layer

import keras_qa
from keras_qa import Example
from keras_qa.answering import Reranker
from keras_qa.layers.classification_head import transformer_of
from keras_qa.models import text_classifier

NAMES = ("Mary", "John", "She", "He")
PLACES = ("home", "the bathroom", "there")
# Groups of four, three and two texts, and an example without negatives.
EXAMPLES = [
    Example(
        f"{name} went {place}.",
        f"Where did {name} go?",
        negatives=[f"{other} slept." for other in NAMES if other != name][: 3 - number],
    )
    for name in NAMES
    for number, place in enumerate(PLACES)
]
EXAMPLES.append(Example("He slept.", "Who slept?"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return encoder_of_one_layer(tmp_path_factory.mktemp("ranker") / "encoder")


def untrained(folder) -> Reranker:
    keras.utils.set_random_seed(1)
    return Reranker(text_classifier(folder, "sequence_classification", num_labels=1))


@pytest.fixture(scope="module")
def ranker(folder) -> Reranker:
    """An untrained ranker. Tests must not change its weights."""
    return untrained(folder)


def test_fit_learns_to_rank_and_files_keep_it(folder, tmp_path) -> None:
    options = {"epochs": 20, "batch_size": 6, "learning_rate": 0.015, "lora_rank": 4, "verbose": 0}
    ranker = untrained(folder)
    assert ranker.fit(EXAMPLES, validation_data=EXAMPLES, **options) is ranker
    losses = ranker.history_.history
    assert losses["loss"][-1] < losses["loss"][0] / 2
    assert losses["val_loss"][-1] < losses["val_loss"][0] / 2
    assert losses["val_accuracy"][-1] > 0.8
    texts = [[item.text, *item.negatives] for item in EXAMPLES]
    ranked = ranker.rank([item.question for item in EXAMPLES], texts)
    right = [some[0].index == 0 for some in ranked[:-1]]
    assert losses["val_accuracy"][-1] == pytest.approx(np.mean(right))
    assert transformer_of(ranker.model_).lora_rank == 4
    ranker.save(tmp_path / "ranker.keras")
    ranker.save_adapter(tmp_path / "adapter.keras")
    shutil.copytree(folder, tmp_path / "encoder")
    texts = ["Mary slept.", "Mary went home.", "John went there."]
    expected = ranker.rank("Where did Mary go?", texts)
    for name in ("ranker.keras", "adapter.keras"):
        loaded = keras_qa.load(tmp_path / name)
        assert isinstance(loaded, Reranker)
        again = loaded.rank("Where did Mary go?", texts)
        assert [item.index for item in again] == [item.index for item in expected]
        np.testing.assert_allclose(
            [item.score for item in again], [item.score for item in expected], rtol=1e-4
        )
    # With other settings than before.
    loaded.fit(EXAMPLES[:4], batch_size=2, steps_per_epoch=1, verbose=0)


def test_the_loss_is_the_mean_over_questions_and_equal_logits_are_no_merit(folder) -> None:
    ranker = untrained(folder)
    examples = EXAMPLES[:-1]
    losses, sizes = [], []
    for item in examples:
        [logits] = ranker.logits([item.question], [[item.text, *item.negatives]])
        losses.append(np.log(np.exp(logits).sum()) - logits[0])
        sizes.append(len(logits))

    def equal_logits(epoch: int, logs=None) -> None:
        if epoch == 1:
            for weight in ranker.model_.layers[-1].weights:
                weight.assign(weight * 0)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=equal_logits)]
    options = {"batch_size": 5, "learning_rate": 1e-12, "epochs": 2, "verbose": 0}
    ranker.fit(EXAMPLES, validation_data=EXAMPLES, callbacks=callbacks, **options)
    history = ranker.history_.history
    expected = [np.mean(losses), np.mean(np.log(sizes))]
    assert history["loss"] == pytest.approx(expected, rel=1e-4)
    assert history["val_loss"] == pytest.approx(expected, rel=1e-4)
    assert history["val_accuracy"][1] == 0.0


@pytest.mark.parametrize(
    ("examples", "options", "message"),
    [
        ([], {}, "`examples` has no example with `negatives`: passages that do not answer"),
        (EXAMPLES[-1:], {}, "`examples` has no example with `negatives`"),
        ([{"text": "a", "question": "b", "negatives": [3]}], {}, "position 0: `negatives` must be"),
        ([Example("a", "b", negatives=("a", "c"))], {}, "position 0 whose `text` is one of its"),
        (EXAMPLES, {"validation_data": []}, "`validation_data` has no example with `negatives`"),
        (EXAMPLES, {"batch_size": 0}, "`batch_size` must be a positive integer"),
        (EXAMPLES, {"epochs": -1}, "`epochs` must be a non-negative integer"),
        (EXAMPLES, {"learning_rate": 0}, "`learning_rate` must be a positive number"),
        (EXAMPLES, {"lora_rank": 0}, "`lora_rank` must be a positive integer"),
        (EXAMPLES, {"lora_rank": 10**6}, "`lora_rank` must be a .*, at most 16. .*rank=1000000"),
        (EXAMPLES, {"steps_per_epoch": 1.5}, "`steps_per_epoch` must be a positive integer"),
    ],
)
def test_bad_input_moves_no_weight(examples, options, message: str, ranker) -> None:
    before = ranker.model_.get_weights()
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        ranker.fit(examples, verbose=0, **options)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) <= 300
    for one, other in zip(before, ranker.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_ranker_without_lora_has_no_adapter(tmp_path) -> None:
    ranker = keras_qa.load(cross_encoder(tmp_path / "cross"))
    with pytest.raises(ValueError, match="Only models on a published encoder that were trained"):
        ranker.save_adapter(tmp_path / "adapter.keras")
    assert not (tmp_path / "adapter.keras").exists()
