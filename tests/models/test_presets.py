"""The readers that come with the package."""

import json
import zipfile

import numpy as np
import pytest
from small_checkpoints import with_head

import keras_qa
from keras_qa import QuestionAnswerer
from keras_qa.answering import Reranker
from keras_qa.cli import main
from keras_qa.data import presets
from keras_qa.models import text_classifier

TEXT = (
    "The warranty of the lamp lasts three years. It covers the switch, but not the bulb. "
    "Repairs are done in Bergen by two mechanics."
)


def test_each_preset_is_a_small_file_of_the_package() -> None:
    sizes = {path.stem: path.stat().st_size for path in presets.FOLDER.glob("*.keras")}
    assert keras_qa.presets().keys() == {*sizes, *presets.EMBEDDERS}
    assert all(100_000 < size < 8_000_000 for size in sizes.values())


def test_a_span_preset_answers_and_finds_no_answer() -> None:
    qa = keras_qa.load("minilm-squad")
    answer = qa.answer(TEXT, "Where are repairs done?")
    assert answer.text == "Bergen"
    assert TEXT[answer.start : answer.end] == "Bergen"
    assert qa.answer(TEXT, "How long does the warranty last?").text == "three years"
    assert qa.answer(TEXT, "Who painted the ceiling of the Sistine Chapel?").text == ""
    # Its adapter is merged into the encoder.
    assert qa.model_.get_layer("backbone").lora_rank is None
    assert len(qa.model_.trainable_variables) == len(qa.model_.weights)


def test_the_story_preset_answers_all_tasks() -> None:
    qa = keras_qa.load("babi")
    story = ["Mary got the milk.", "Mary went to the garden.", "Mary left the milk there."]
    answer = qa.answer([*story, "Mary moved to the kitchen."], "Where is the milk?")
    assert answer.text == "garden"
    answer = qa.answer("Sheep are afraid of wolves. Emily is a sheep.", "What is emily afraid of?")
    assert answer.text == "wolf"
    for task in (1, 2, 3, 6, 15):
        stories = keras_qa.datasets.babi.simulate(task=task, examples=100, seed=7)
        assert qa.evaluate(stories, verbose=0)["exact_match"] >= 97


def test_the_preset_of_a_ranker_sorts_texts() -> None:
    ranker = keras_qa.load("minilm-rerank")
    assert isinstance(ranker, Reranker)
    texts = [
        "The warranty of a boat is short to read, and so is this text about boats.",
        "It lasts two years from the day of purchase, and covers all repairs.",
        "Rain falls on the roof of the house.",
    ]
    asked = ["How long is it valid after the purchase?", "Where does rain fall?"]
    (first, *rest), (other, *_) = ranker.rank(asked, texts)
    assert (first.index, rest[-1].index, other.index) == (1, 2, 2)
    assert first.score > 0.45 > 0.1 > rest[0].score
    # It is calibrated: none of these answers the last question.
    asked.extend(["Where are repairs done?", "Who painted the ceiling?"])
    lists = ranker.rank(asked[2:], TEXT.split(". "), min_precision=0.9)
    assert [[item.index for item in row] for row in lists] == [[2], []]
    # The command line takes its name, as every place that takes a file.
    assert Reranker("minilm-rerank").rank(asked[0], texts)[0].text == first.text


def test_the_preset_of_a_checker_scores_the_support_of_claims() -> None:
    checker = keras_qa.load("minilm-verify")
    text = "The lamp is made of steel by Ann, and lasts ten years."
    claims = ["Ann makes the lamp of steel.", "The lamp does not last ten years.", "It rained."]
    scores = [checker.rank(claim, [text])[0].score for claim in claims]
    assert [score > 0.5 for score in scores] == [True, False, False]


def test_an_adapter_of_a_ranker_is_loaded_like_a_preset(tmp_path) -> None:
    options = {"task": "sequence_classification", "num_labels": 1, "lora_rank": 2}
    ranker = Reranker(text_classifier("minilm", **options))
    ranker.model_.preprocessor.vectorizer.max_length = 64
    for weight in ranker.model_.get_layer("backbone").trainable_variables:
        weight.assign(weight + 0.01)
    ranker.save_adapter(tmp_path / "minilm-rerank.keras")
    assert (tmp_path / "minilm-rerank.keras").stat().st_size < 3_000_000
    loaded = keras_qa.load(tmp_path / "minilm-rerank.keras")
    assert isinstance(loaded, Reranker)
    assert loaded.model_.preprocessor.vectorizer.max_length == 64
    assert loaded.model_.get_layer("backbone").lora_rank is None
    texts = TEXT.split(". ")
    for question in ("Where are repairs done?", "How long does the warranty last?"):
        found, expected = loaded.rank(question, texts), ranker.rank(question, texts)
        assert [one.index for one in found] == [one.index for one in expected]
        scores = [one.score for one in expected]
        np.testing.assert_allclose([one.score for one in found], scores, atol=1e-4)
    with pytest.raises(ValueError, match="holds a ranker, which answers no questions"):
        QuestionAnswerer.from_preset(tmp_path / "minilm-rerank.keras")


def test_a_pair_longer_than_the_encoder_reads_is_refused(tmp_path) -> None:
    path = tmp_path / "adapter.keras"
    options = {"task": "sequence_classification", "num_labels": 1, "lora_rank": 1}
    encoder = with_head(tmp_path / "bert", "bert", "Model", {})
    Reranker(text_classifier(encoder, **options)).save_adapter(path)
    with zipfile.ZipFile(path) as archive:
        config, weights = json.loads(archive.read("config.json")), archive.read("adapter.npz")
    config["preprocessor"]["vectorizer"]["max_length"] = 10**9
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("adapter.npz", weights)
    with pytest.raises(ValueError, match="`max_length` is 1000000000, but .* reads at most 64"):
        keras_qa.load(path)


def test_the_command_answers_by_a_preset(capsys) -> None:
    asked = ["--text", TEXT, "--question", "Where are repairs done?"]
    assert main(["answer", "minilm-squad", *asked]) == 0
    assert "Bergen" in capsys.readouterr().out
