"""Recipes for readers of spans."""

from small_examples import SPANS as EXAMPLES

from keras_qa.recipes import Recipe, recipe, train


def test_default_recipes() -> None:
    lora = {"backbone": "folder", "lora_rank": 8}
    for model, options, expected in (
        ("two_branch_classifier", None, recipe.DEFAULT),
        ("universal_transformer", None, recipe.UNIVERSAL_TRANSFORMER),
        ("memory_network", None, recipe.MEMORY_NETWORK),
        ("span_reader", None, recipe.SPAN_READER),
        ("span_reader", {"backbone": "folder"}, recipe.FINE_TUNING),
        ("span_reader", lora, recipe.LORA),
    ):
        assert recipe.recipe_for(model, options) is expected
    assert (recipe.FINE_TUNING.learning_rate, recipe.LORA.learning_rate) == (1e-4, 1e-3)


def test_best_epoch_of_a_reader_is_kept(tmp_path) -> None:
    done = train(
        EXAMPLES,
        EXAMPLES,
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
