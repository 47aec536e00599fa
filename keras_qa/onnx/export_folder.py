"""`export`: writes a model as a folder with an ONNX graph, its tokenizer and its settings."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import keras_qa
from keras_qa._arguments import check_flag, check_number, must_be, short_repr, to_integer
from keras_qa.data.files import replace_atomically
from keras_qa.example import Example, to_examples
from keras_qa.layers import TransformerEncoder
from keras_qa.layers.classification_head import transformer_of
from keras_qa.models import QAModel
from keras_qa.models.pretrained.checkpoint_writer import describe_checkpoint
from keras_qa.onnx import runtime
from keras_qa.onnx.onnx_graph import Proto, write_graph
from keras_qa.onnx.onnx_model import build_model
from keras_qa.onnx.quantization import MAX_SIZE, QuantizedScores, compare, measure, quantize
from keras_qa.preprocessing.preprocessor import TASKS, Preprocessor, serialize
from keras_qa.text import SubwordTokenizer


def export(
    model: object,
    folder: str | os.PathLike[str],
    int8: bool = False,
    validation_data: Iterable[Example | Mapping[str, Any]] | None = None,
    max_loss: float = 0.5,
    data_size: int = MAX_SIZE,
) -> QuantizedScores | None:
    """Writes a model as a folder that ONNX Runtime and transformers.js open.

    The graph is made of the layers and their weights, in float32 and with LoRA merged. So each
    backend writes the same bytes. `keras_qa.load(folder)` answers without Keras. The inputs and
    outputs of the graph have the names that `optimum` uses.

    Args:
        model: A reader, ranker or embedder that `keras_qa.load` returned or that was trained. See
            docs/export.md for the layers that can be exported.
        folder: The folder. Created if it does not exist.
        int8: Whether to write a second graph with weights of int8, quantized by ONNX Runtime.
            Temperature and thresholds are fitted again for it. It is written only if it loses at
            most `max_loss`.
        validation_data: The examples on which both graphs are compared. Needed with `int8`.
        max_loss: The highest loss in percent points: of F1, or if the model answers no questions,
            of the agreement of both graphs on the questions and texts of the examples.
        data_size: Weights of more bytes are written to `model.onnx_data`.

    Returns:
        With `int8` the scores of both graphs, otherwise `None`.

    Raises:
        ImportError: If the `onnx` package, or with `int8` `onnxruntime`, is missing.
        TypeError: If `model` has another type.
        ValueError: If a layer cannot be exported, an argument is out of its range, or the model has
            no tokenizer.

    Examples:
        >>> import os, tempfile, keras_qa
        >>> from keras_qa.onnx import export
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
        >>> folder = tempfile.mkdtemp()
        >>> export(qa, folder)
        >>> sorted(os.listdir(folder))[-3:]
        ['onnx', 'tokenizer.json', 'tokenizer_config.json']
    """
    target = pathlib.Path(folder).expanduser()
    if target.exists() and not target.is_dir():
        raise ValueError(must_be("folder", "a folder, or a path without a file", str(folder)))
    check_flag("int8", int8)
    check_number("max_loss", max_loss)
    data_size = to_integer("data_size", data_size, most=MAX_SIZE)
    examples = None if validation_data is None else to_examples(validation_data)
    if int8 and not examples:
        raise ValueError("`int8` compares both graphs on `validation_data`. Give some examples.")
    keras_model, preprocessor, task, name = _parts(model)
    proto = build_model(keras_model, [item.graph_name for item in runtime.TASKS[task][1]])
    described = _describe(keras_model, preprocessor, task)
    (target / runtime.ONNX).mkdir(parents=True, exist_ok=True)
    # An earlier export must not look whole while this one is written.
    (target / runtime.SETTINGS).unlink(missing_ok=True)
    _remove_int8(target)
    for file, content in described.items():
        with replace_atomically(target / file) as partial:
            partial.write_bytes(content)
    write_graph(proto, target / runtime.GRAPH, data_size)
    longest = min(
        (layer.max_length for layer in keras_model.layers if getattr(layer, "max_length", None)),
        default=None,
    )
    settings: dict[str, Any] = {
        "format": runtime.FORMAT,
        "keras_qa": keras_qa.__version__,
        "task": task,
        "name": name,
        "max_length": longest,
        "graphs": {runtime.GRAPH: _config(preprocessor)},
    }
    _write_settings(target, settings)
    if not int8:
        return None
    assert examples is not None
    answers_questions = preprocessor.answers_questions
    return _add_int8(target, proto, settings, examples, float(max_loss), answers_questions)


def _add_int8(
    folder: pathlib.Path,
    proto: Proto,
    settings: dict[str, Any],
    examples: list[Example],
    max_loss: float,
    answers_questions: bool,
) -> QuantizedScores:
    """Adds a graph with weights of int8, unless it loses too much."""
    graphs, is_kept = settings["graphs"], False
    try:
        quantize(folder, proto)
        graphs[runtime.QUANTIZED] = graphs[runtime.GRAPH]
        _write_settings(folder, settings)
        if answers_questions:
            before, _ = measure(folder / runtime.GRAPH, examples)
            after, preprocessor = measure(folder / runtime.QUANTIZED, examples)
            graphs[runtime.QUANTIZED] = _config(preprocessor)
        else:
            before, after = compare(folder, examples)
        scores = QuantizedScores(before, after, max_loss)
        is_kept = scores.is_kept
    finally:
        if not is_kept:
            graphs.pop(runtime.QUANTIZED, None)
            _remove_int8(folder)
        _write_settings(folder, settings)
    return scores


def _remove_int8(folder: pathlib.Path) -> None:
    for name in (runtime.QUANTIZED, f"{runtime.QUANTIZED}_data"):
        (folder / name).unlink(missing_ok=True)


def _parts(model: object) -> tuple[QAModel, Preprocessor, str, str]:
    """Returns the model, its preprocessor, its task and its name in an index."""
    if hasattr(model, "exported_parts"):
        return model.exported_parts()
    qa_model = model if isinstance(model, QAModel) else getattr(model, "model_", None)
    if not isinstance(qa_model, QAModel):
        raise TypeError(
            "`model` must be a trained reader, a ranker, an embedder or a `QAModel`. Received: "
            f"{short_repr(model)} (of type {type(model).__name__})."
        )
    if qa_model.preprocessor is None:
        raise ValueError(
            f"The model `{qa_model.name}` has no tokenizer. Pass one to the function that creates "
            "it."
        )
    task = qa_model.preprocessor.exported_as or qa_model.task or ""
    kinds, outputs = runtime.TASKS.get(task, ((), ()))
    if qa_model.preprocessor.name not in kinds or len(qa_model.outputs) != len(outputs):
        raise ValueError(
            f"The model `{qa_model.name:.60}` {qa_model.preprocessor.description}, but no task of "
            "exported folders fits its preprocessor and its outputs. It cannot be exported."
        )
    return qa_model, qa_model.preprocessor, task, qa_model.name


def _describe(model: QAModel, preprocessor: Preprocessor, task: str) -> dict[str, bytes]:
    """Returns `config.json` and the files of the tokenizer."""
    encoder, tokenizer = transformer_of(model), preprocessor.vectorizer.tokenizer
    if isinstance(encoder, TransformerEncoder) and isinstance(tokenizer, SubwordTokenizer):
        longest = preprocessor.max_length(encoder.max_length)
        return describe_checkpoint(encoder, tokenizer, TASKS.get(task, "Model"), longest)
    assert tokenizer is not None
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    return {
        runtime.CONFIG: _json({"model_type": "keras_qa", "architectures": [model.name]}),
        runtime.TOKENIZER: tokenizer.to_json().encode(),
        runtime.TOKENIZER_CONFIG: _json({"tokenizer_class": "PreTrainedTokenizerFast", **special}),
    }


def _config(preprocessor: Preprocessor) -> dict[str, Any]:
    # Without the JSON of the tokenizer, which has a file of its own.
    return runtime.with_tokenizer(serialize(preprocessor), None)


def _write_settings(folder: pathlib.Path, settings: Mapping[str, Any]) -> None:
    """Writes `keras_qa.json`, with sizes and checksums of the other files, and its own checksum."""
    names = [runtime.CONFIG, runtime.TOKENIZER, runtime.TOKENIZER_CONFIG]
    for graph in settings["graphs"]:
        names += [name for name in (graph, f"{graph}_data") if (folder / name).exists()]
    files = {}
    for name in names:
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            files[name] = {"size": os.fstat(file.fileno()).st_size, "sha256": digest}
    whole = {**settings, "files": files}
    with replace_atomically(folder / runtime.SETTINGS) as partial:
        partial.write_bytes(_json({**whole, "sha256": runtime.checksum(whole)}))


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
