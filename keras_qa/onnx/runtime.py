"""Models in folders that `keras_qa.onnx.export` wrote, run by ONNX Runtime without Keras."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_choice, entry, import_extra, parse_object, to_optional_integer
from keras_qa._numbers import MASKED, rows_in_cache, used_columns
from keras_qa.preprocessing.preprocessor import (
    CHOICE,
    SEQUENCE,
    SPANS,
    TOKENS,
    Outputs,
    Preprocessor,
    deserialize,
)

# The version of the layout. A later version of keras-qa may write a later one.
FORMAT = 1
SETTINGS = "keras_qa.json"
CONFIG, TOKENIZER = "config.json", "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
ONNX = "onnx"
GRAPH, QUANTIZED = f"{ONNX}/model.onnx", f"{ONNX}/model_quantized.onnx"

# Maximum bytes of a JSON file, and of a protobuf message.
_MAX_JSON, _MAX_GRAPH = 2**26, 2**31
# Bytes of a file that are read at a time to check it.
_PART = 2**20
# What precedes the name of a file with weights in a protobuf message.
_LOCATION = b"\n\x08location"


class Output(NamedTuple):
    """An output: its name, its name in the graph, and its value at padding or `None`."""

    name: str
    graph_name: str
    padding: float | None


# What a model computes, as its folder names it.
EMBEDDING, WORDS = "sentence_embedding", "answer_classification"
# The preprocessors and the outputs of the model of each task.
TASKS: dict[str, tuple[tuple[str, ...], tuple[Output, ...]]] = {
    SPANS: (
        ("spans",),
        (Output("end", "end_logits", MASKED), Output("start", "start_logits", MASKED)),
    ),
    TOKENS: (("tokens", "pairs"), (Output("logits", "logits", 0.0),)),
    SEQUENCE: (("pairs",), (Output("logits", "logits", None),)),
    CHOICE: (("choices", "pairs"), (Output("logits", "logits", None),)),
    EMBEDDING: (("pairs",), (Output(EMBEDDING, EMBEDDING, None),)),
    WORDS: (("words",), (Output("probabilities", "probabilities", None),)),
}
# Names of an encoder's inputs in the graph, which are those of `optimum`.
INPUT_NAMES = {
    "token_ids": "input_ids",
    "segment_ids": "token_type_ids",
    "padding_mask": "attention_mask",
}


class ExportedModel:
    """A model that ONNX Runtime computes. It stands in for a `QAModel` that only predicts.

    `path` is a folder that `keras_qa.onnx.export` wrote, or a graph in it, such as
    `folder/onnx/model_quantized.onnx`. The other attributes have the names of those of `QAModel`;
    `task` is one of `TASKS`, and `width` the size of the last axis of the first output or `None`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = self.folder = pathlib.Path(path).expanduser()
        graph = GRAPH
        if self.path.suffix == ".onnx":
            self.folder, graph = self.path.parent.parent, f"{ONNX}/{self.path.name}"
        self._runtime = import_extra("An exported folder", "onnxruntime", "onnx")
        settings = parse_object(self._read(SETTINGS), self.folder / SETTINGS)
        self._set(settings, graph)
        self._check_graph(graph)
        options = self._runtime.SessionOptions()
        # Only errors, which are raised.
        options.log_severity_level = 4
        # ONNX Runtime does not read this variable, which Ray sets for its workers.
        threads = os.environ.get("OMP_NUM_THREADS", "")
        if threads.isdecimal():
            options.intra_op_num_threads = int(threads)
        with self._errors():
            self._session = self._runtime.InferenceSession(
                str(self.folder / graph), options, providers=["CPUExecutionProvider"]
            )
            shapes = {item.name: item.shape for item in self._session.get_outputs()}
            inputs = {item.name for item in self._session.get_inputs()}
        self._set_inputs(inputs, shapes)

    def __reduce__(self) -> tuple[type[Self], tuple[pathlib.Path]]:
        # Another process opens the folder again, since pickle cannot copy a session.
        return type(self), (self.path,)

    def _set(self, settings: Mapping[str, Any], graph: str) -> None:
        version = settings.get("format")
        if type(version) is not int or not 1 <= version <= FORMAT:
            raise self._error(
                f"it has the format {version!r:.40}, and this keras-qa reads formats up to "
                f"{FORMAT}. Install a newer keras-qa",
                advice="",
            )
        try:
            is_same = settings.get("sha256") == checksum(settings)
        except RecursionError:
            is_same = False
        if not is_same:
            raise self._difference(SETTINGS)
        graphs = entry(settings, "graphs", dict)
        if graph not in graphs:
            raise self._error(f"it has no graph `{graph[-60:]}`, only {', '.join(graphs):.120}")
        self._files = entry(settings, "files", dict)
        self.name = entry(settings, "name", str)
        self.task = entry(settings, "task", str)
        check_choice("task", self.task, TASKS)
        longest = to_optional_integer("max_length", settings.get("max_length"))
        self.layers = [] if longest is None else [SimpleNamespace(max_length=longest)]
        self.config = parse_object(self._checked(CONFIG), self.folder / CONFIG)
        self._checked(TOKENIZER_CONFIG)
        tokenizer = self._checked(TOKENIZER).decode("utf-8")
        config = with_tokenizer(entry(graphs, graph, dict), tokenizer)
        try:
            self.preprocessor: Preprocessor = deserialize(config)
        except TypeError as error:
            raise self._error(f"its `{SETTINGS}` cannot be read ({error!r:.80})") from None
        kinds, self._outputs = TASKS[self.task]
        check_choice("name", self.preprocessor.name, kinds)
        decoder = getattr(self.preprocessor, "decoder", None)
        self.answer_types: tuple[str, ...] = decoder.answer_types if decoder is not None else ()

    def _set_inputs(self, inputs: set[str], shapes: Mapping[str, list[Any]]) -> None:
        """Checks the inputs and outputs of the graph."""
        is_words = self.task == WORDS
        names = {name: name for name in ("text", "question")} if is_words else INPUT_NAMES
        self._graph_names = {
            name: graph_name for name, graph_name in names.items() if graph_name in inputs
        }
        self.inputs = [SimpleNamespace(name=name) for name in self._graph_names]
        wanted = {*(names.values() if is_words else ["input_ids"])} - inputs
        wanted |= {item.graph_name for item in self._outputs} - shapes.keys()
        if wanted:
            raise self._error(f"its graph has no `{min(wanted):.40}`")
        unknown = inputs - {*self._graph_names.values()}
        if unknown:
            raise self._error(f"its graph has an unknown input `{min(unknown):.40}`")
        last = shapes[self._outputs[0].graph_name][-1:]
        self.width: int | None = last[0] if last and isinstance(last[0], int) else None
        answers = self.preprocessor.sizes().get("answer_vocabulary_size", 0)
        if (self.width or 0) < answers:
            raise self._error(f"its graph has fewer classes than the {answers} answers")

    def predict(
        self,
        feed: Mapping[str, npt.NDArray[Any]],
        batch_size: int = 32,
        verbose: int | str = 0,
    ) -> Outputs:
        """Computes the outputs for arrays of ids by name, padded with zeros on the right.

        Rows of similar length share a batch, which is trimmed to the longest.
        """
        arrays = [np.asarray(feed[name]) for name in self._graph_names]
        used = np.stack([used_columns(array) for array in arrays])
        is_encoder = "token_ids" in self._graph_names
        if is_encoder:
            # All inputs of an encoder have the same width.
            used[:] = used.max(axis=0)
        order = np.argsort(used.max(axis=0), kind="stable")
        results: dict[str, npt.NDArray[Any]] = {}
        while len(order):
            size = batch_size
            if is_encoder:
                size = min(size, rows_in_cache(int(used[0, order[0]])))
                size = min(size, rows_in_cache(int(used[0, order[:size][-1]])))
            rows, order = order[:size], order[size:]
            widths = used[:, rows].max(axis=1)
            inputs = {
                graph_name: array[rows][..., :width].astype("int64")
                for graph_name, array, width in zip(
                    self._graph_names.values(), arrays, widths, strict=True
                )
            }
            with self._errors():
                outputs = self._session.run([item.graph_name for item in self._outputs], inputs)
            cut = arrays[0].shape[-1] - int(widths[0])
            for item, part in zip(self._outputs, outputs, strict=True):
                self._check_shape(item, part.shape, len(rows), int(widths[0]))
                if item.name not in results:
                    shape = [len(arrays[0]), *part.shape[1:]]
                    if item.padding is not None:
                        shape[1] += cut
                    results[item.name] = np.full(shape, item.padding or 0.0, "float32")
                results[item.name][rows, : part.shape[1]] = part
        return results if len(results) > 1 else next(iter(results.values()))

    def _check_shape(self, item: Output, shape: tuple[int, ...], rows: int, width: int) -> None:
        """Raises if an output has not the rows, or not the positions, of the inputs."""
        expected = [rows] if item.padding is None else [rows, width + len(self.answer_types)]
        if [*shape[: len(expected)]] != expected:
            raise self._error(
                f"its graph gives `{item.graph_name}` the shape {[*shape]}, which must begin with "
                f"{expected}"
            )

    def fit(self, *args: object) -> NoReturn:
        """Raises an error: an exported model can neither be trained nor saved."""
        raise ValueError(
            f"The model `{self.name}` is in an exported folder, which can neither be trained nor "
            "saved. Copy the folder, or use the `.keras` file that it was exported from."
        )

    save = save_pretrained = fit

    # What a `QAModel` has: no layer computes here.
    encoder = None

    def weights_checksum(self) -> str:
        """Returns a checksum of the name of the graph and the settings, which have its checksum."""
        content = self.path.name.encode() + (self.folder / SETTINGS).read_bytes()
        return hashlib.sha256(content).hexdigest()

    def with_evidence(self) -> Self:
        """Returns the model itself, as `QAModel.with_evidence` does without attention."""
        return self

    def split(self, name: str) -> None:
        """Returns `None`: the graph cannot be split."""

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[io.BufferedReader]:
        path = self.folder / name
        try:
            # A named pipe or a device may have no end.
            if path.exists() and not path.is_file():
                raise self._error(f"`{name}` is not a regular file")
            with path.open("rb") as file:
                yield file
        except OSError as error:
            if not self.folder.exists():
                raise FileNotFoundError(f"There is no folder `{self.folder}`.") from None
            raise self._error(f"`{name}` is missing or cannot be read ({error.strerror})") from None

    def _read(self, name: str, most: int = _MAX_JSON) -> bytes:
        with self._open(name) as file:
            if os.fstat(file.fileno()).st_size > most:
                raise self._error(f"`{name}` has more than {most:,} bytes")
            return file.read()

    def _checked(self, name: str) -> bytes:
        self._check(name)
        return self._read(name)

    def _check(self, name: str) -> int:
        """Raises if a file is not the one that was exported. Returns the number of `_LOCATION`."""
        expected = entry(self._files, name, dict)
        digest, locations, before = hashlib.sha256(), 0, b""
        with self._open(name) as file:
            # The size first: the file may be too large to read.
            is_same = os.fstat(file.fileno()).st_size == expected.get("size")
            # In parts, which is faster than to read a graph as a whole.
            while is_same and (part := file.read(_PART)):
                digest.update(part)
                locations += (before + part).count(_LOCATION)
                before = part[1 - len(_LOCATION) :]
        if not is_same or digest.hexdigest() != expected.get("sha256"):
            raise self._difference(name)
        return locations

    def _check_graph(self, graph: str) -> None:
        """Checks a graph and its weights. ONNX Runtime opens any file that the graph names."""
        others = self._check(graph)
        data = f"{graph}_data"
        if data in self._files:
            self._check(data)
            name = pathlib.Path(data).name.encode()
            own = b"%b\x12%c%b" % (_LOCATION, len(name), name)
            others -= self._read(graph, _MAX_GRAPH).count(own)
        if others:
            raise self._error(f"`{graph}` names a file with weights that was not exported")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns an error of ONNX Runtime into one line."""
        state = self._runtime.capi.onnxruntime_pybind11_state
        kinds = ("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf")
        others = ("NoModel", "NoSuchFile", "NotImplemented", "RuntimeException")
        errors = tuple(getattr(state, name) for name in (*kinds, *others))
        try:
            yield
        except errors as error:
            line = " ".join(str(error).split())
            raise self._error(f"ONNX Runtime says: {line:.120}") from None

    def _difference(self, name: str) -> ValueError:
        return self._error(
            f"`{name}` is not the file that was exported: its size or checksum differs"
        )

    def _error(self, problem: str, advice: str = " Export the model again.") -> ValueError:
        return ValueError(f"`{str(self.folder)[-80:]}` cannot be used: {problem}.{advice}")


def checksum(settings: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of the settings of a folder without their own, as canonical JSON."""
    rest = {name: value for name, value in settings.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def check_trainable(model: object) -> None:
    """Raises if a model is in an exported folder."""
    if isinstance(model, ExportedModel):
        model.fit()


def with_tokenizer(config: Mapping[str, Any], text: str | None) -> dict[str, Any]:
    """Returns the config of a preprocessor with the JSON of its tokenizer replaced."""
    vectorizer = dict(entry(config, "vectorizer", dict))
    own = vectorizer.get("tokenizer")
    vectorizer["tokenizer"] = {**own, "json": text} if isinstance(own, Mapping) else text
    return {**config, "vectorizer": vectorizer}
