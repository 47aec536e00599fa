"""Cases of exported models: ONNX Runtime beside Keras, `optimum-onnx` and `sentence-transformers`.

The reader is the preset `minilm-squad`. `tox -e optimum` writes the rival's graph of its weights
into a folder, which the environment variable `KERAS_QA_OPTIMUM` names.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from benchmarks.measure import AbsentError, Apart, Contenders, Seconds, sized
from benchmarks.span_cases import encoder_folder, questions, spread

READER = "minilm-squad"
OPTIMUM = "KERAS_QA_OPTIMUM"
FIRST = "import keras_qa, sys; print(keras_qa.load(sys.argv[1]).answer('Ann left.', 'Who left?'))"


def exported() -> pathlib.Path:
    """The exported reader, in a temporary folder."""
    import keras_qa
    from keras_qa.onnx import export

    folder = pathlib.Path(tempfile.mkdtemp()) / "reader"
    export(keras_qa.load(READER), folder)
    return folder


def with_graph(folder: pathlib.Path, graph: pathlib.Path) -> pathlib.Path:
    """A copy of an exported folder with another graph."""
    other = shutil.copytree(folder, folder.with_name("rival"))
    shutil.copy(graph, other / "onnx" / "model.onnx")
    from keras_qa.onnx.runtime import checksum

    settings = json.loads((other / "keras_qa.json").read_text())
    digest = hashlib.sha256(graph.read_bytes()).hexdigest()
    settings["files"]["onnx/model.onnx"] = {"size": graph.stat().st_size, "sha256": digest}
    settings["sha256"] = checksum(settings)
    (other / "keras_qa.json").write_text(json.dumps(settings))
    return other


def answering(device: str) -> tuple[Contenders, int]:
    """Strings to answers, many at once; a sample is a question."""
    import keras_qa

    folder = exported()
    readers = {"keras-qa": keras_qa.load(READER), "ONNX": keras_qa.load(folder)}
    if os.environ.get(OPTIMUM):
        graph = pathlib.Path(os.environ[OPTIMUM]) / "model.onnx"
        readers["optimum"] = keras_qa.load(with_graph(folder, graph))
    examples = spread(questions(), sized(300, 4))
    texts, asked = ([getattr(item, name) for item in examples] for name in ("text", "question"))
    return {
        name: lambda reader=reader: reader.answer(texts, asked, verbose=0)
        for name, reader in readers.items()
    }, len(examples)


def first_answer(device: str) -> tuple[Contenders, int]:
    """A new process: imports, loading, and one answer."""
    readers = {"keras-qa": READER, "ONNX": str(exported())}

    def run(reader: str) -> Seconds:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST, reader], stdout=subprocess.PIPE, check=True)
        return Seconds(time.perf_counter() - began)

    return {name: lambda reader=reader: run(reader) for name, reader in readers.items()}, 1


def embedding(device: str) -> tuple[Contenders, int]:
    """Texts to unit vectors; a sample is a text.

    An index gives the encoder so many texts at once. All use the threads of OMP_NUM_THREADS.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise AbsentError("needs the rival: pip install sentence-transformers.")
    import keras_qa
    from benchmarks.rivals.sentence_embedder import SentenceEmbedder
    from keras_qa.documents.writing import ENCODED
    from keras_qa.onnx import export
    from keras_qa.onnx.runtime import QUANTIZED

    examples = spread(questions(), sized(1_024, 8))
    texts = list(dict.fromkeys(example.plain_text for example in examples))
    folder = pathlib.Path(tempfile.mkdtemp()) / "embedder"
    export(keras_qa.load("minilm-embed"), folder, True, examples[:32], max_loss=100.0)
    embedders = {"ONNX, int8": keras_qa.load(folder / QUANTIZED), "ONNX": keras_qa.load(folder)}
    rival = Apart(SentenceEmbedder, encoder_folder(), texts)
    blocks = [texts[start : start + ENCODED] for start in range(0, len(texts), ENCODED)]
    return {
        **{
            name: lambda embedder=embedder: [embedder(block) for block in blocks]
            for name, embedder in embedders.items()
        },
        "sentence-transformers": lambda: rival("embed"),
    }, len(texts)


CASES = {
    "export, answering": answering,
    "export, first answer": first_answer,
    "export, embedding": embedding,
}
