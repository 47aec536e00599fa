"""Early stopping, and the choice of the best epoch."""

import keras
import pytest
from small_examples import EXAMPLES, SPANS

from keras_qa import Example
from keras_qa.training import Recipe, train
from keras_qa.training.checkpoints import TrainingState


def stops_at(
    accuracies: list[float], losses: list[float], patience: int, **run: str
) -> tuple[int, int | None]:
    """Returns the last and the best epoch of a run with these validation results."""
    state = TrainingState({"epochs": len(losses), "patience": patience, "seed": 0, **run}, None)
    state.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    state.model.stop_training = False
    state.on_train_begin()
    for epoch, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True)):
        state.on_epoch_end(epoch, {"loss": 0.0, "val_accuracy": accuracy, "val_loss": loss})
        if state.model.stop_training:
            break
    return state.epochs, state.notes["best_epoch"]


@pytest.mark.parametrize(
    ("accuracies", "losses", "patience", "expected"),
    [
        # Without errors, training stops three epochs after the lowest loss.
        ([0.9] + [1.0] * 9, [9, 8, 7, 7.1, 6, 6, 6.2, 6.1, 5, 4], 25, (8, 5)),
        # A smaller patience still applies.
        ([0.9] + [1.0] * 9, [9, 8, 7, 7.1, 6, 6, 6.2, 6.1, 5, 4], 1, (4, 3)),
        # With errors, only the accuracy counts, not the loss.
        ([0.5, 0.6] + [0.6] * 8, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 4, (6, 6)),
        # The patience starts again after an epoch with new errors.
        ([1.0, 0.9, 0.9, 0.9, 0.9, 1.0], [9, 9, 9, 9, 9, 8], 25, (6, 6)),
        ([0.1, 0.2, 0.3], [3, 2, 1], 1, (3, 3)),
    ],
)
def test_training_stops(accuracies, losses, patience: int, expected: tuple[int, int]) -> None:
    assert stops_at(accuracies, losses, patience) == expected


def test_linear_start_does_not_count_for_patience() -> None:
    hopeless = [Example(item.text, item.question, "grey") for item in EXAMPLES]
    recipe = Recipe(epochs=9, batch_size=9, patience=2, linear_start=0.5)
    run = train(EXAMPLES, hopeless, "answer_classifier", recipe=recipe, verbose=0).runs[0]
    assert run.epochs == 4 + 2


def test_the_last_epoch_is_kept_on_demand() -> None:
    assert stops_at([0.9, 0.5, 0.6], [1, 3, 2], 1, keep="last") == (3, None)
    recipe = Recipe(epochs=3, batch_size=9, patience=1, learning_rate=1e-9, keep="last")
    run = train(EXAMPLES, EXAMPLES, "answer_classifier", recipe=recipe, verbose=0).runs[0]
    assert (run.epochs, run.best_epoch) == (3, 3)
    with pytest.raises(ValueError, match=r"^`keep` must be one of 'best', 'last'\. Received: "):
        Recipe(keep="first")


def test_without_validation_data() -> None:
    recipe = Recipe(epochs=3, batch_size=9)
    run = train(EXAMPLES, None, "answer_classifier", recipe=recipe, verbose=0).runs[0]
    assert (run.epochs, run.best_epoch, run.validation_error) == (3, 3, None)
    assert sorted(run.history) == ["accuracy", "loss"]


def test_best_epoch_of_a_reader_is_kept(tmp_path) -> None:
    done = train(
        SPANS,
        SPANS,
        "span_reader",
        {"units": 8, "embedding_dim": 8, "dropout": 0.0},
        recipe=Recipe(epochs=12, batch_size=8, learning_rate=0.02, decay="linear"),
        out=tmp_path / "reader.keras",
        verbose=0,
        answerer_options={"max_answer_words": 3},
    )
    run = done.runs[0]
    assert run.validation_error == 0.0
    accuracies, losses = run.history["val_accuracy"], run.history["val_loss"]
    assert run.epochs == len(losses)
    assert accuracies[run.best_epoch - 1] == 1.0
    right = [loss for loss, accuracy in zip(losses, accuracies, strict=True) if accuracy == 1.0]
    assert losses[run.best_epoch - 1] == min(right)
    decoder = done.answerer.model_.preprocessor.decoder
    assert decoder.max_answer_words == 3
    assert done.answerer.calibration_["temperature"] == decoder.temperature
    assert (tmp_path / "reader.keras").exists()
