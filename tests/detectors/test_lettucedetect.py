"""Beside the package `lettucedetect`: the same unsupported spans, and the same scores."""

import pathlib

import pytest
import torch
import transformers
from lettucedetect.models.inference import HallucinationDetector
from small_tokenizers import LINES, modern

import keras_qa
from keras_qa.models import text_classifier

LONG = " ".join(LINES * 12)
QUESTION = "Where is Mary, {question} or at home?"
# Answers, passages and questions. No answer starts with white space: there the package counts from
# the first letter.
CASES = [
    ("Mary went home.", ["Mary went to the bathroom.\nShe slept.", "It rained."], QUESTION),
    ("Mary went home.", ["Mary went to the bathroom.", "It rained."], None),
    (LINES[0], [LINES[0]], "Who went?"),
    (LINES[1], [LINES[1], LINES[0]], "Who went?"),
    (LINES[1], ["Nothing."], None),
    ("She slept.\n\n- 3.5 km\n- 1990s\t(5 %)", ["{braces} $dollars ${question}"], ""),
    ("😀👩‍🚀 cafe\u0301  Zoë ", ["Zoë"], "👩‍🚀?"),
    ("x", ["", "y", ""], "z"),
    ("They say: “Unbelievable!”", ["Unbelievable"] * 12, "What?"),
    (LONG[:600], [LONG[:500], LONG[500:700]], "Unbelievable?"),
    (LONG[:300], [LONG, LONG[:700]], None),
    ("Unbelievable! " * 30, ["Mary slept."], "How?"),
    # These passages do not fit in the 256 positions of the second model; the last, in 4,096.
    ("Mary slept at home.", [LONG[:300], LONG[300:700], "It rained.", LONG[:90]], "Where?"),
    ("Mary slept at home.", ["It rained."] * 40, None),
    ("Mary slept at home. Bob left.", [LONG], "Where?"),
    ("Mary slept at home. Bob left.", ["Short.", LONG, "Short.", LONG[:400]], None),
    ("Ann, Bob and Zoë.", [LINES[0]] * 9, "Who?" * 40),
    (LONG[:150], [LINES[0]] * 9, "Who?"),
    ("東京に行った。", [LINES[1], LONG[:200], LINES[1]], "どこ?"),
    ("Mary went home, 1990s.", [LONG * 4, "It rained.", LONG * 3], "Where is Mary?"),
]


@pytest.fixture(scope="module", params=[8192, 256])
def folder(request, tmp_path_factory) -> pathlib.Path:
    """A random ModernBERT that classifies tokens, with one of two maximum lengths."""
    config = transformers.ModernBertConfig(
        vocab_size=500,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        local_attention=8,
        max_position_embeddings=8192,
        pad_token_id=0,
    )
    torch.manual_seed(1)
    model = transformers.ModernBertForTokenClassification(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            middle = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            weight.copy_(middle + 0.5 * torch.randn(weight.shape))
    path = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(path)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=modern(),
        model_max_length=request.param,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
    ).save_pretrained(path)
    return path


def test_spans_and_scores(folder) -> None:
    reader = text_classifier(folder)
    longest = min(reader.preprocessor.vectorizer.max_length, 4096)
    theirs = HallucinationDetector(model_path=str(folder), max_length=longest, device="cpu")
    marked = 0
    for answer, passages, question in CASES:
        expected = theirs.predict(passages, answer, question, output_format="spans")
        found = keras_qa.verify(answer, passages, question, reader=reader)
        spans = [(one.start, one.end, one.text, one.supported) for one in found]
        assert spans == [(one["start"], one["end"], one["text"], False) for one in expected]
        scores = [one["confidence"] for one in expected]
        assert [one.score for one in found] == pytest.approx(scores, abs=1e-4)
        marked += bool(found) and spans != [(0, len(answer), answer, False)]
    assert marked > 5
