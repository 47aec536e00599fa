"""Unsupported spans of an answer, by a token classifier in the input format of LettuceDetect.

Reference: Kovács and Recski 2025, "LettuceDetect", arXiv:2502.17125. Spans and scores are those of
version 0.2.3 of the package `lettucedetect` for English.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_qa._numbers import sigmoid
from keras_qa.text import SubwordTokenizer
from keras_qa.text.pairs import join_pairs

if TYPE_CHECKING:
    from keras_qa.models import QAModel

# The prompts that the checkpoints were trained with, with and without a question.
_QUESTION_PROMPT = (
    "Briefly answer the following question:\n{question}\nBear in mind that your response should be "
    "strictly based on the following {count} passages:\n{passages}\nIn case the passages do not "
    "contain the necessary information to answer the question, please reply with: "
    '"Unable to answer based on given passages."\noutput:'
)
_SUMMARY_PROMPT = "Summarize the following text:\n{passages}\noutput:"
# Maximum number of positions, and how many of them the package keeps for special tokens.
_MAX_LENGTH, _SPECIAL = 4096, 3


def find_unsupported_spans(
    model: QAModel, answer: str, texts: list[str], question: str | None
) -> list[tuple[int, int, float]]:
    """Returns the start, the end and the score of each unsupported span of an answer.

    The score of a token is its highest probability of the label 1 over all groups of texts that fit
    into the model; a span is a run of tokens with at least 0.5, and has the highest score of these.
    """
    preprocessor: Any = model.preprocessor
    num_labels = model.width
    if preprocessor is None or num_labels != 2:
        raise ValueError(
            "`reader` must have a tokenizer and two labels to classify tokens, 0 for supported and "
            f"1 for unsupported. Received: {model.name} with {num_labels} labels."
        )
    tokenizer = preprocessor.vectorizer.tokenizer
    longest = min(_MAX_LENGTH, preprocessor.vectorizer.max_length)
    offsets = tokenizer.pieces([answer], raw=True).offsets.tolist()
    count = len(offsets)
    room = longest - count - sum(map(len, (tokenizer.before, tokenizer.between, tokenizer.after)))
    if room < 1:
        raise ValueError(
            f"`answer` has {count} pieces, which leaves no room for documents in {longest} "
            "positions. Verify parts of it."
        )
    prompts = _make_prompts(tokenizer, texts, question, longest - count - _SPECIAL)
    pieces = tokenizer.pieces([answer, *prompts])
    first = np.minimum(np.diff(pieces.begins)[1:], room)
    zeros = np.zeros_like(first)
    second = (pieces.ids, zeros, zeros + count)
    feed = join_pairs(tokenizer, (pieces.ids, pieces.begins[1:-1], first), second)
    feed["token_ids"] *= feed["padding_mask"]
    # Long rows need much memory, so predict one at a time.
    logits = model.predict({i.name: feed[i.name] for i in model.inputs}, batch_size=1, verbose=0)
    starts = len(tokenizer.before) + first + len(tokenizer.between)
    token_logits = logits[np.arange(len(first))[:, None], starts[:, None] + np.arange(count)]
    scores = sigmoid(token_logits[..., 1] - token_logits[..., 0]).max(axis=0).tolist()
    # Pieces of no character neither end nor extend a span.
    tokens = [
        (score, start, end)
        for score, (start, end) in zip(scores, offsets, strict=True)
        if start < end
    ]
    runs = [list(run) for _, run in itertools.groupby(tokens, key=lambda token: token[0] >= 0.5)]
    return [(run[0][1], run[-1][2], max(run)[0]) for run in runs if run[0][0] >= 0.5]


def _make_prompts(
    tokenizer: SubwordTokenizer, texts: list[str], question: str | None, room: int
) -> list[str]:
    """Returns a prompt for each group of texts. `room` is the number of pieces of a prompt."""
    lines = _numbered(texts)
    whole, frame = _prompt(texts, question), _prompt([""], question)
    whole_size, frame_size, *sizes = np.diff(tokenizer.pieces([whole, frame, *lines]).begins)
    if whole_size <= room or frame_size >= room:
        return [whole]
    groups: list[list[str]] = [[]]
    used = 0
    for text, size in zip(texts, sizes, strict=True):
        # A line break before each text but the first.
        if groups[-1] and used + 1 + size > room - frame_size:
            groups.append([])
            used = 0
        used += size + bool(groups[-1])
        groups[-1].append(text)
    return [_prompt(group, question) for group in groups]


def _prompt(texts: list[str], question: str | None) -> str:
    prompt = _SUMMARY_PROMPT if question is None else _QUESTION_PROMPT
    passages = "\n".join(_numbered(texts))
    return prompt.format(question=question, count=len(texts), passages=passages)


def _numbered(texts: list[str]) -> list[str]:
    return [f"passage {number}: {text}" for number, text in enumerate(texts, 1)]
