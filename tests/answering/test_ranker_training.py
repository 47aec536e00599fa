"""Training of rankers: what is learned, what is saved, and what raises before a weight moves."""

import shutil

import keras
import numpy as np
import pytest
from small_checkpoints import cross_encoder, with_head

import keras_qa
from keras_qa import Example
from keras_qa.answering import Ranker
from keras_qa.inputs.groups import GroupBatches
from keras_qa.models import encoder_classifier
from keras_qa.models.pretrained import transformer_of
from keras_qa.objectives.losses import RankingLoss

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
    path = tmp_path_factory.mktemp("ranker") / "encoder"
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return with_head(path, "bert", "Model", {}, **dropout)


def untrained(folder) -> Ranker:
    keras.utils.set_random_seed(1)
    return Ranker(encoder_classifier(folder, "sequence_classification", num_labels=1))


def test_fit_learns_to_rank_and_files_keep_it(folder, tmp_path) -> None:
    options = {"epochs": 30, "batch_size": 5, "learning_rate": 0.01, "lora_rank": 4, "verbose": 0}
    ranker = untrained(folder)
    assert ranker.fit(EXAMPLES, validation_data=EXAMPLES, **options) is ranker
    found = ranker.evaluate(EXAMPLES)
    assert 80 < found["recall_at_1"] <= found["mrr"] <= 100
    assert found["examples"] == 12
    losses = ranker.history_.history
    assert losses["loss"][-1] < losses["loss"][0] / 2
    assert losses["val_loss"][-1] < losses["val_loss"][0] / 2
    assert transformer_of(ranker.model_).lora_rank == 4
    ranker.save(tmp_path / "ranker.keras")
    ranker.save_adapter(tmp_path / "adapter.keras")
    shutil.copytree(folder, tmp_path / "encoder")
    texts = ["Mary slept.", "Mary went home.", "John went there."]
    expected = ranker.rank("Where did Mary go?", texts)
    for name in ("ranker.keras", "adapter.keras"):
        loaded = keras_qa.load(tmp_path / name)
        assert isinstance(loaded, Ranker)
        again = loaded.rank("Where did Mary go?", texts)
        assert [item.index for item in again] == [item.index for item in expected]
        np.testing.assert_allclose(
            [item.score for item in again], [item.score for item in expected], rtol=1e-4
        )
    # With other settings than before.
    loaded.fit(EXAMPLES[:4], batch_size=2, steps_per_epoch=1, verbose=0)


def test_the_loss_is_that_of_each_question_on_its_own(folder) -> None:
    ranker = untrained(folder)
    ranker.fit(EXAMPLES, epochs=0, verbose=0)
    groups = [(item.question, [item.text, *item.negatives]) for item in EXAMPLES[:-1]]
    losses = []
    for question, texts in groups:
        feed = ranker.model_.preprocessor.make_feed(ranker.model_, [question] * len(texts), texts)
        logits = ranker.model_.predict(feed, verbose=0)[:, 0].astype("float64")
        # A row for each text.
        losses.append([np.log(np.exp(logits).sum()) - logits[0]] * len(texts))
    # The last batch has fewer questions.
    parts = losses[:5], losses[5:10], losses[10:]
    means = [np.concatenate(part).mean() for part in parts]
    for size, mean in ((5, np.mean(means)), (99, np.concatenate(losses).mean())):
        batches = GroupBatches(ranker.model_, groups, size)
        found = ranker.model_.evaluate(batches, verbose=0)
        assert found == pytest.approx(mean, rel=1e-4)


def test_batches_are_whole_groups_and_depend_on_seed_and_epoch(folder) -> None:
    model = untrained(folder).model_
    groups = [(str(number), ["a", *["b"] * (number % 3 + 1)]) for number in range(7)]

    def epoch(number: int, **options) -> list[np.ndarray]:
        batches = GroupBatches(model, groups, 3, **options)
        batches.epoch = number
        parts = [batches[at] for at in range(len(batches))]
        # Padding has no tokens.
        assert all(((f["token_ids"] != 0).any(1) == (labels != 0)).all() for f, labels in parts)
        return [labels for _, labels in parts]

    def counts(labels: list[np.ndarray]) -> list[int]:
        return [int((part > 0).sum()) for part in labels]

    three = [1, -1, 2, -2, -2, 3, -3, -3, -3, 0, 0, 0]
    assert [part.tolist() for part in epoch(0)] == [three, three, [1, -1, *[0] * 10]]
    for one, other in zip(epoch(2, seed=4), epoch(2, seed=4), strict=True):
        np.testing.assert_array_equal(one, other)
    assert str(epoch(2, seed=4)) != str(epoch(1, seed=4))
    assert counts(epoch(1, seed=4)) == [3, 3, 1]
    # Two passes over all groups in three epochs of two batches.
    parts = [part for number in range(3) for part in epoch(number, seed=4, steps=2)]
    assert counts(parts) == [3, 3, 1, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(parts[:3]), np.concatenate(epoch(0, seed=4)))


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
        (EXAMPLES, {"steps_per_epoch": 1.5}, "`steps_per_epoch` must be a positive integer"),
    ],
)
def test_bad_input_moves_no_weight(examples, options, message: str, folder) -> None:
    ranker = untrained(folder)
    before = ranker.model_.get_weights()
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        ranker.fit(examples, verbose=0, **options)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) <= 300
    for one, other in zip(before, ranker.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_equal_scores_are_no_merit(folder) -> None:
    ranker = untrained(folder)
    for weight in ranker.model_.layers[-1].weights:
        weight.assign(weight * 0)
    assert ranker.evaluate(EXAMPLES[:1]) == {"mrr": 25.0, "recall_at_1": 0.0, "examples": 1}


def test_a_ranker_without_lora_has_no_adapter(tmp_path) -> None:
    ranker = keras_qa.load(cross_encoder(tmp_path / "cross"))
    with pytest.raises(ValueError, match="Only models on a published encoder that were trained"):
        ranker.save_adapter(tmp_path / "adapter.keras")
    assert not (tmp_path / "adapter.keras").exists()


def test_the_loss_is_saved_by_its_config() -> None:
    loss = RankingLoss.from_config(RankingLoss(reduction="none").get_config())
    logits = np.log([[1.0], [3.0], [5.0], [2.0], [6.0], [1e-9]])
    found = keras.ops.convert_to_numpy(loss(np.array([-1, 1, 0, -2, 2, 3]), logits))
    # The right rows have these shares of their groups: 3 of 4, 6 of 8, and all.
    each = -np.log([3 / 4, 3 / 4, 1, 3 / 4, 3 / 4, 1])
    np.testing.assert_allclose(found, each * 6 / 5, atol=1e-5)
    assert float(RankingLoss()(np.array([-1, 1, 0, -2, 2, 3]), logits)) == pytest.approx(
        each.sum() / 5, abs=1e-5
    )
