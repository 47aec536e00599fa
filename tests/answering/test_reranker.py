"""Rankers: order, scores, files, and what is refused."""

import json
import pathlib

import keras
import numpy as np
import pytest
from small_checkpoints import copy, cross_encoder

import keras_qa
from keras_qa import Example, Ranked
from keras_qa.answering import Reranker, reranker
from keras_qa.cli import main
from keras_qa.models import span_reader, text_classifier
from keras_qa.onnx import export

TEXTS = ["Mary slept.", "She went home.", "", "Mary went to the bathroom.", "Mary slept."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return cross_encoder(tmp_path_factory.mktemp("ranker") / "cross")


@pytest.fixture(scope="module")
def cross(folder) -> Reranker:
    return keras_qa.load(folder)


def expected(model, question: str, texts: list[str]) -> np.ndarray:
    """The scores, one pair at a time."""
    feeds = [model.preprocessor.make_feed(model, [question], [text]) for text in texts]
    logits = np.array([model.predict(feed, verbose=0)[0, 0] for feed in feeds], "float64")
    return 1 / (1 + np.exp(-logits))


class TestRanking:
    def test_best_first(self, cross) -> None:
        scores = expected(cross.model_, "Who slept?", TEXTS)
        ranked = cross.rank("Who slept?", TEXTS)
        order = np.argsort(-np.round(scores, 5), kind="stable")
        assert [item.index for item in ranked] == order.tolist()
        # Equal texts keep their order.
        assert [item.index for item in ranked if item.text == TEXTS[0]] == [0, 4]
        for item in ranked:
            assert isinstance(item, Ranked)
            assert item.text == TEXTS[item.index]
            assert item.score == pytest.approx(scores[item.index], abs=1e-5)
        assert cross.rank("Who slept?", TEXTS, top_k=2) == ranked[:2]
        assert cross.rank("Who slept?", tuple(TEXTS), top_k=9) == ranked

    def test_several_questions(self, cross, monkeypatch) -> None:
        questions = ["Who slept?", "", "Where is Mary?"]
        each = [cross.rank(question, TEXTS) for question in questions]
        # In several parts, whose limits are not those of the questions.
        monkeypatch.setattr(reranker, "PAIRS", 4)
        for found, one in zip(cross.rank(questions, TEXTS), each, strict=True):
            assert [item.index for item in found] == [item.index for item in one]
            np.testing.assert_allclose([i.score for i in found], [i.score for i in one], atol=1e-6)
        found = cross.rank(questions, [TEXTS[:2], [], TEXTS[3:]], top_k=1)
        assert [len(some) for some in found] == [1, 0, 1]
        assert cross.rank([], []) == []
        assert cross.rank("Who?", []) == cross.rank(["Who?"], [[]])[0] == []

    def test_long_texts_are_cut_off(self, cross, folder) -> None:
        long = "Mary went home. " * 5_000
        assert cross.model_.preprocessor.vectorizer.max_length == 64
        assert cross.rank("Who?", [long])[0].score == cross.rank("Who?", [long * 2])[0].score
        short = Reranker(folder)
        short.model_.preprocessor.vectorizer.max_length = 10
        ends = ["Mary went home. Then", "Mary went home. She"]
        scores = [item.score for item in short.rank("a b c d", ends)]
        assert scores[0] == scores[1]
        assert len({item.score for item in cross.rank("a b c d", ends)}) == 2

    @pytest.mark.parametrize(
        "config",
        [
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
            {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
        ],
    )
    def test_the_logit_if_the_checkpoint_says_so(self, config, cross, tmp_path) -> None:
        raw = keras_qa.load(cross_encoder(tmp_path / "cross", **config))
        pairs = zip(raw.rank("Who?", TEXTS), cross.rank("Who?", TEXTS), strict=True)
        for one, other in pairs:
            assert one.index == other.index
            assert 1 / (1 + np.exp(-one.score)) == pytest.approx(other.score, abs=1e-6)
        raw.save(tmp_path / "raw.keras")
        assert keras_qa.load(tmp_path / "raw.keras").rank("Who?", TEXTS) == raw.rank("Who?", TEXTS)
        raw.save_pretrained(tmp_path / "again")
        assert keras_qa.load(tmp_path / "again").rank("Who?", TEXTS) == raw.rank("Who?", TEXTS)

    def test_large_logits_are_scores(self, folder) -> None:
        large = Reranker(folder)
        head = large.model_.get_layer("logits").logits
        for bias, score in ((1e6, 1.0), (-1e6, 0.0)):
            head.bias.assign([bias])
            assert [item.score for item in large.rank("Who?", TEXTS)] == [score] * 5


class TestRelevance:
    """A calibration of which the right texts are those with the higher logits."""

    QUESTIONS = ("Who slept?", "Where is Mary?", "She?")

    @pytest.fixture
    def calibrated(self, folder) -> Reranker:
        ranker = Reranker(folder)
        logits = ranker.logits(self.QUESTIONS, [TEXTS] * 3)
        self.middle = float(np.median(np.concatenate(logits)))
        # Many copies, since few texts support no high precision.
        labels = [(row > self.middle).tolist() * 10 for row in logits]
        fitted = ranker.calibrate(self.QUESTIONS, [TEXTS * 10] * 3, labels)
        assert ranker.model_.preprocessor.relevance is fitted
        return ranker

    def test_scores_are_probabilities_and_irrelevant_texts_are_left_out(self, calibrated) -> None:
        fitted = calibrated.model_.preprocessor.relevance
        (logits,) = calibrated.logits(["Who slept?"], [TEXTS])
        ranked = calibrated.rank("Who slept?", TEXTS)
        chances = 1 / (1 + np.exp(-(fitted.scale * logits + fitted.offset)))
        for item in ranked:
            assert item.score == pytest.approx(chances[item.index], abs=1e-9)
        kept = [item for item in ranked if logits[item.index] > self.middle]
        assert calibrated.rank("Who slept?", TEXTS, min_precision=0.9) == kept
        assert 0 < len(kept) < len(TEXTS)
        assert calibrated.rank("Who slept?", TEXTS, 1, min_precision=0.9) == kept[:1]
        others = [text for text, logit in zip(TEXTS, logits, strict=True) if logit <= self.middle]
        # None of these.
        assert calibrated.rank("Who slept?", others, min_precision=0.9) == []
        lists = calibrated.rank(["Who slept?"] * 2, [TEXTS, others], min_precision=0.9)
        assert [[item.index for item in row] for row in lists] == [[i.index for i in kept], []]

    def test_pairs_and_one_question_are_the_same_as_lists(self, calibrated) -> None:
        fitted = calibrated.model_.preprocessor.relevance
        (logits,) = calibrated.logits(["Who slept?"], [TEXTS])
        labels = logits > np.median(logits)
        expected = calibrated.calibrate(["Who slept?"], [TEXTS], [labels.tolist()])
        assert expected != fitted
        assert calibrated.calibrate("Who slept?", TEXTS, labels.astype(int)) == expected
        assert calibrated.calibrate(["Who slept?"] * 5, TEXTS, labels) == expected

    def test_files_and_exported_folders_keep_it(self, calibrated, tmp_path) -> None:
        expected = calibrated.rank("Who slept?", TEXTS, min_precision=0.9)
        calibrated.save(tmp_path / "ranker.keras")
        export(calibrated, tmp_path / "exported")
        for name in ("ranker.keras", "exported"):
            loaded = keras_qa.load(tmp_path / name)
            assert loaded.model_.preprocessor.relevance == calibrated.model_.preprocessor.relevance
            ranked = loaded.rank("Who slept?", TEXTS, min_precision=0.9)
            assert [item.index for item in ranked] == [item.index for item in expected]
            scores = [item.score for item in expected]
            np.testing.assert_allclose([item.score for item in ranked], scores, atol=1e-5)
        loaded = Reranker(tmp_path / "ranker.keras")
        loaded.fit([Example("a", "Who?", "a", negatives=["b"])], epochs=1, verbose=0)
        assert loaded.model_.preprocessor.relevance is None

    def test_without_a_calibration(self, cross) -> None:
        message = r"^`min_precision` needs a calibration. Call `calibrate\(questions, texts, labels"
        with pytest.raises(ValueError, match=message):
            cross.rank("Who?", TEXTS, min_precision=0.9)

    @pytest.mark.parametrize("value", [0, 1.1, "high", True])
    def test_bad_precisions(self, value, calibrated) -> None:
        with pytest.raises(ValueError, match="^`min_precision` must be a number above 0 and at m"):
            calibrated.rank("Who?", TEXTS, min_precision=value)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                (["a"], [["b", "c"]], [[1]]),
                "`labels` must have an entry for each text. Received: 1",
            ),
            ((["a"], [["b", "c"]], [1, 0]), "`labels` must have an entry for each text. Received"),
            ((["a"], [["b", "c"]], 1), "`labels` must be a list. Received: labels=1"),
            ((["a"], "b", [1]), "`texts` must be a list. Received: texts='b'"),
            ((["a"], [["b", 3]], [[1, 0]]), r"`texts\[0\]` must be a list of strings"),
            ((["a", "b"], [["b", "c"]], [[1, 0]]), "`texts` has 1 lists, but there are 2 questi"),
            ((["a"], [["b", "c"]], [[1, 2]]), "`labels` must be 0 or 1. Received: 2 at position 1"),
            ((["a"], [["b", "c"]], [[1, "0"]]), "`labels` must be 0 or 1. Received: '0' at pos"),
            ((["a"], [["b", "c"]], [[1, None]]), "`labels` must be 0 or 1. Received: None at pos"),
            ((["a"], [["b", "c"]], [[1, [0]]]), r"`labels` must be 0 or 1. Received: \[0\] at"),
            (
                (["a"], [["b", "c"]], [[1, 1]]),
                "`labels` must have both 0 and 1: .* 2 labels of {1}",
            ),
            (([], [], []), "`labels` must have both 0 and 1: .* 0 labels"),
            ((["a"], [["b", "c"]], [[1, 0]], 0), "`batch_size` must be a positive integer"),
        ],
    )
    def test_bad_input(self, arguments, message: str, cross) -> None:
        before = cross.model_.get_weights()
        with pytest.raises((TypeError, ValueError), match=message) as raised:
            cross.calibrate(*arguments)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) <= 300
        assert cross.model_.preprocessor.relevance is None
        for one, other in zip(before, cross.model_.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


class TestFiles:
    def test_a_file_keeps_all(self, folder, tmp_path) -> None:
        made = Reranker(text_classifier(folder))
        made.model_.preprocessor.vectorizer.max_length = 20
        made.save(tmp_path / "ranker.keras")
        loaded = keras_qa.load(tmp_path / "ranker.keras", compile=False)
        assert isinstance(loaded, Reranker)
        assert loaded.model_.preprocessor.vectorizer.max_length == 20
        assert loaded.rank("Who?", TEXTS) == made.rank("Who?", TEXTS)
        made.save_pretrained(tmp_path / "folder")
        again = Reranker(tmp_path / "folder")
        assert again.model_.preprocessor.vectorizer.max_length == 20
        config = json.loads((tmp_path / "folder" / "tokenizer_config.json").read_text())
        assert config["model_max_length"] == 20
        with pytest.raises(ValueError, match="`path` must end in `.keras`"):
            made.save(tmp_path / "ranker")

    def test_a_ranker_answers_no_questions(self, folder, tmp_path, capsys) -> None:
        message = (
            r"ranker.keras` holds a ranker, which answers no questions. Load it with `keras_qa"
        )
        Reranker(folder).save(tmp_path / "ranker.keras")
        with pytest.raises(ValueError, match=message):
            keras_qa.QuestionAnswerer.from_preset(tmp_path / "ranker.keras")
        options = ["--text", "Mary slept.", "--question", "Who?"]
        assert main(["answer", str(tmp_path / "ranker.keras"), *options]) == 2
        assert "holds a ranker, which answers no questions" in capsys.readouterr().err


class TestRefusing:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((3, TEXTS), "`question` must be a string or a list of strings. Received: 3"),
            (("Who?", "Mary"), "`texts` must be a list of strings. Received: 'Mary'"),
            (("Who?", ["a", 3]), r"`texts` must be a list of strings. Received: \['a', 3\]"),
            (("Who?", [["a"]]), r"`texts` must be a list of strings. Received: \[\['a'\]\]"),
            ((["Who?", None], TEXTS), "`question` must be .* None .* at position 1"),
            ((["Who?"], [["a"], ["b"]]), "`texts` has 2 lists, but there are 1 questions. Pass"),
            ((["a", "b"], [["a"], "b"]), r"`texts\[1\]` must be a list of strings. Received: 'b'"),
            (("Who?", TEXTS, 0), "`top_k` must be a positive integer. Received: top_k=0"),
            (("Who?", TEXTS, 1, 0), "`batch_size` must be a positive integer"),
            (("Who?", {"a", "b"}), "`texts` must be a list of strings. Received: {'"),
            (({"Who?"}, TEXTS), "`question` must be a string or a list of strings. Received: {'"),
        ],
    )
    def test_bad_input(self, arguments, message: str, cross) -> None:
        before = cross.model_.get_weights()
        with pytest.raises((TypeError, ValueError), match=message) as raised:
            cross.rank(*arguments)
        assert "\n" not in str(raised.value)
        for one, other in zip(before, cross.model_.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_a_model_that_is_no_ranker(self, folder, tmp_path) -> None:
        for model in (
            cross_encoder(tmp_path / "labels", 3),
            text_classifier(cross_encoder(tmp_path / "more", 3)),
            text_classifier("minilm", "multiple_choice"),
            text_classifier("minilm", "token_classification", num_labels=1),
            span_reader(backbone=copy("bert", tmp_path / "reader")),
            "babi",
        ):
            with pytest.raises(
                ValueError, match="is not a ranker|a model for another ta"
            ) as raised:
                Reranker(model)
            assert "\n" not in str(raised.value)
        with pytest.raises(TypeError, match="`model` must be the name of a ranker"):
            Reranker(keras.Sequential())

    def test_an_unknown_activation(self, tmp_path) -> None:
        config = {"sentence_transformers": {"activation_fn": "os.system"}}
        with pytest.raises(ValueError, match="must be one of Identity, Sigmoid. .*'os.system'"):
            keras_qa.load(cross_encoder(tmp_path / "cross", **config))

    def test_a_ranker_without_a_tokenizer(self, folder, tmp_path) -> None:
        bare = cross_encoder(tmp_path / "bare")
        (bare / "tokenizer.json").unlink()
        with pytest.raises(
            ValueError, match=r"no tokenizer. .* or pass one: `Reranker\(text_classifier"
        ):
            keras_qa.load(bare)
