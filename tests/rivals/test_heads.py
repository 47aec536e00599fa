"""Beside `transformers`: classifiers of all families, with all settings of heads changed."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file
from small_checkpoints import KINDS
from test_transformers import PAIRS, files_of, load_make

import keras_qa
from keras_qa.answering import Reranker
from keras_qa.models import text_classifier

AUTO = {
    "sequence_classification": transformers.AutoModelForSequenceClassification,
    "token_classification": transformers.AutoModelForTokenClassification,
    "multiple_choice": transformers.AutoModelForMultipleChoice,
}
NAMES = {
    "token_ids": "input_ids",
    "segment_ids": "token_type_ids",
    "padding_mask": "attention_mask",
}
# The settings of the heads, away from their defaults.
CHANGES: dict[str, dict[str, Any]] = {
    "albert": {"classifier_dropout_prob": 0.3},
    "deberta-v2": {"pooler_dropout": 0.2, "pooler_hidden_act": "tanh", "cls_dropout": 0.3},
    "distilbert": {"seq_classif_dropout": 0.3},
    "electra": {
        "classifier_dropout": 0.3,
        "summary_activation": "tanh",
        "summary_last_dropout": 0.2,
    },
    "modernbert": {
        "classifier_pooling": "mean",
        "classifier_bias": True,
        "classifier_activation": "silu",
        "classifier_dropout": 0.3,
    },
    "mpnet": {},
}
# Further settings of a family and a task.
OTHERS = [
    ("modernbert", "sequence_classification", {"classifier_pooling": "cls"}),
    ("modernbert", "multiple_choice", {"classifier_pooling": "cls"}),
    ("electra", "multiple_choice", {"summary_use_proj": False}),
    ("deberta-v2", "sequence_classification", {"pooler_hidden_act": "gelu"}),
]
CASES = [
    *(
        (kind, task, CHANGES.get(kind, {"classifier_dropout": 0.3}))
        for kind in KINDS
        for task in AUTO
    ),
    *OTHERS,
]


def make(kind: str, task: str, changes: dict[str, Any], folder: pathlib.Path, labels: int) -> Any:
    """Makes a random checkpoint with a tokenizer in a folder, and returns its model."""
    sizes = {**load_make().SIZES[kind], **changes, "vocab_size": 500}
    config = transformers.AutoConfig.for_model(kind, **sizes, num_labels=labels)
    torch.manual_seed(0)
    model = AUTO[task].from_config(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            middle = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            weight.copy_(middle + 0.3 * torch.randn(weight.shape))
    files_of(kind, folder)
    (folder / "logits.npz").unlink()
    model.save_pretrained(folder)
    return model


def logits_of(model: Any, feed: dict[str, np.ndarray], task: str) -> np.ndarray:
    """The logits of `transformers` for a feed, without those of padding."""
    arrays = {NAMES[name]: torch.tensor(array.astype("int64")) for name, array in feed.items()}
    if task == "multiple_choice":
        arrays = {name: array[None] for name, array in arrays.items()}
    with torch.no_grad():
        found = model(**arrays).logits.numpy()
    if task == "multiple_choice":
        return found.T
    if task == "token_classification":
        found = found * feed["padding_mask"][..., None]
    return found


def dropouts_of(model: Any) -> set[float]:
    """The dropout rates of a model's head."""
    before = f"{model.base_model_prefix}."
    modules = [part for name, part in model.named_modules() if not name.startswith(before)]
    return {part.p for part in modules if isinstance(part, torch.nn.Dropout)} - {0.0}


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize(("kind", "task", "changes"), CASES)
def test_logits_and_saved_folders(kind, task, changes, labels, tmp_path) -> None:
    theirs = make(kind, task, changes, tmp_path / "theirs", labels)
    ours = text_classifier(tmp_path / "theirs")
    first, second = map(list, zip(*PAIRS, strict=True))
    feed = ours.preprocessor.make_feed(ours, first, second)
    expected = logits_of(theirs, feed, task)
    assert expected.std() > 0.001
    found = ours.predict(feed, verbose=0)
    assert found.shape[-1] == (1 if task == "multiple_choice" else labels)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    head = ours.get_layer("logits")
    assert {head.input_dropout, head.dropout} - {0.0} == dropouts_of(theirs)

    ours.save_pretrained(tmp_path / "saved")
    before, after = (
        load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "saved")
    )
    unused = {name for name in before if name not in after}
    assert all("position_ids" in name or "pooler" in name for name in unused)
    for name, tensor in after.items():
        np.testing.assert_array_equal(tensor, before[name], err_msg=name)
    configs = [json.loads((tmp_path / n / "config.json").read_text()) for n in ("theirs", "saved")]
    assert configs[0] == configs[1]
    again = AUTO[task].from_pretrained(tmp_path / "saved").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    pairs = tokenizer(first, second, padding=True)
    for name, array in feed.items():
        if name != "segment_ids" or "token_type_ids" in pairs:
            there = feed["padding_mask"]
            np.testing.assert_array_equal(np.array(pairs[NAMES[name]]) * there, array * there)
    np.testing.assert_allclose(logits_of(again, feed, task), expected, atol=1e-6)


LONG = " ".join(["Mary went to the bathroom, then she slept at home."] * 12)
TEXTS = ["Mary slept.", LONG, "", "1990s and 3.5 km", LONG[:200], "Mary slept."]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("identity", [False, True])
def test_a_ranker_gives_the_scores_of_a_cross_encoder(kind, identity, tmp_path) -> None:
    """Pairs are cut off and scored as in `CrossEncoder` of `sentence-transformers`."""
    theirs = make(kind, "sequence_classification", {}, tmp_path / kind, 1)
    config = json.loads((tmp_path / kind / "config.json").read_text())
    if identity:
        config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity"}
        (tmp_path / kind / "config.json").write_text(json.dumps(config))
    ranker = keras_qa.load(tmp_path / kind)
    assert isinstance(ranker, Reranker)
    ranker.save_pretrained(tmp_path / "saved")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    question = "Where is Mary?"
    pairs = tokenizer(
        [question] * len(TEXTS), TEXTS, padding=True, truncation=True, return_tensors="pt"
    )
    assert pairs["input_ids"].shape[1] == tokenizer.model_max_length == 64
    with torch.no_grad():
        logits = theirs(**pairs).logits[:, 0]
    scores = (logits if identity else torch.sigmoid(logits)).numpy()
    ranked = ranker.rank(question, TEXTS, batch_size=2)
    assert sorted(item.index for item in ranked) == list(range(len(TEXTS)))
    for item in ranked:
        assert item.score == pytest.approx(scores[item.index], abs=1e-4)
        assert item.text == TEXTS[item.index]
    found = [item.score for item in ranked]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_multiple_choice_model_has_the_probabilities_of_a_published_head(kind, tmp_path) -> None:
    theirs = make(kind, "multiple_choice", {}, tmp_path / "theirs", 1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    text, question, choices = "Mary went home, then she slept.", "she slept", ["home", "a zoo", ""]
    pairs = [text] * 3, [f"{question} {choice}".strip() for choice in choices]
    arrays = tokenizer(*pairs, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = theirs(**{name: array[None] for name, array in arrays.items()}).logits
    expected = logits.softmax(dim=-1)[0].tolist()
    assert np.std(expected) > 0.001
    answers = keras_qa.load(tmp_path / "theirs").answer(text, question, choices=choices, top_k=3)
    found = {answer.text: answer.score for answer in answers}
    assert [found[choice] for choice in choices] == pytest.approx(expected, abs=1e-5)
