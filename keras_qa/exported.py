"""Models in folders that `keras_qa.exporting.export` wrote, run by ONNX Runtime without Keras."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from keras_qa import preprocessing
from keras_qa._arguments import check_choice, entry, to_integer
from keras_qa._numbers import rows_in_cache
from keras_qa.files.json_files import parse_object
from keras_qa.preprocessing import AnyPreprocessor
from keras_qa.preprocessing.ask_options import Outputs

# The version of the layout. A later version of keras-qa may write a later one.
FORMAT = 1
SETTINGS = "keras_qa.json"
CONFIG, TOKENIZER = "config.json", "tokenizer.json"
ONNX = "onnx"
GRAPH, QUANTIZED = f"{ONNX}/model.onnx", f"{ONNX}/model_quantized.onnx"

# What a model computes, as its folder names it.
EMBEDDING, WORDS = "sentence_embedding", "answer_classification"
TASKS = (
    *("question_answering", "token_classification", "sequence_classification"),
    *("multiple_choice", EMBEDDING, WORDS),
)
# Files of the same folder from which Keras would load a model.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


class Output(NamedTuple):
    """An output: its name, its name in the graph, and its value at padding or `None`."""

    name: str
    graph_name: str
    padding: float | None


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder that `export` wrote, or a graph in it."""
    place = pathlib.Path(path).expanduser()
    if place.suffix == ".onnx":
        return place.is_file()
    has_graph = (place / ONNX).is_dir() and not any((place / name).exists() for name in _WEIGHTS)
    return (place / SETTINGS).is_file() or has_graph


class ExportedModel:
    """A model that ONNX Runtime computes. It stands in for a `QAModel` that only predicts.

    Args:
        path: A folder that `keras_qa.exporting.export` wrote; or a graph in it, such as
            `folder/onnx/model_quantized.onnx`.

    Attributes:
        path: The path as given.
        name: Name of the model.
        task: What it computes, one of `TASKS`.
        config: The contents of `config.json`.
        preprocessor: Turns strings into inputs and outputs into answers.
        inputs: The inputs in order, each with a `name`.
        layers: One object with a `max_length`, if sequences have a limit.
        answer_types: The answers that are not spans.
        width: Size of the last axis of the first output, or `None`.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ImportError: If `onnxruntime` is missing.
        ValueError: If a file is missing, damaged, forged or of a later version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        place = pathlib.Path(path).expanduser()
        is_graph = place.suffix == ".onnx"
        self.path, self.folder = place, place.parent.parent if is_graph else place
        graph = f"{ONNX}/{place.name}" if is_graph else GRAPH
        runtime = _onnxruntime()
        try:
            settings = parse_object(self._read(SETTINGS), self.folder / SETTINGS)
            self._set(settings, graph)
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            raise self._error(f"its `{SETTINGS}` cannot be read ({error!r:.80})") from None
        self._check_data(graph)
        options = runtime.SessionOptions()
        # Only errors, which are raised.
        options.log_severity_level = 4
        with self._errors():
            self._session = runtime.InferenceSession(
                str(self.folder / graph), options, providers=["CPUExecutionProvider"]
            )
            shape = {item.name: item.shape for item in self._session.get_outputs()}
            known = {item.name for item in self._session.get_inputs()}
        wanted = {*self._graph_names.values()} - known
        wanted |= {item.graph_name for item in self._outputs} - shape.keys()
        if wanted:
            raise self._error(f"its graph has no `{min(wanted):.40}`")
        last = shape[self._outputs[0].graph_name][-1]
        self.width: int | None = last if isinstance(last, int) else None

    def _set(self, settings: Mapping[str, Any], graph: str) -> None:
        version = settings.get("format")
        if type(version) is not int or not 1 <= version <= FORMAT:
            raise self._error(
                f"it has the format {version!r:.40}, and this keras-qa reads formats up to "
                f"{FORMAT}. Install a newer keras-qa",
                advice="",
            )
        graphs = entry(settings, "graphs", dict)
        if graph not in graphs:
            raise self._error(f"it has no graph `{graph[-60:]}`, only {', '.join(graphs):.120}")
        self._sums = entry(settings, "sha256", dict)
        self.name = entry(settings, "name", str)
        self.task = entry(settings, "task", str)
        check_choice("task", self.task, TASKS)
        self.answer_types = tuple(map(str, entry(settings, "answer_types", list)))
        self.config = parse_object(self._checked(CONFIG), self.folder / CONFIG)
        self._graph_names: dict[str, str] = {
            str(name): str(found) for name, found in entry(settings, "inputs", dict).items()
        }
        self.inputs = [SimpleNamespace(name=name) for name in self._graph_names]
        self._outputs = [Output(*item) for item in entry(settings, "outputs", list)]
        longest = settings.get("max_length")
        self.layers: list[Any] = []
        if longest is not None:
            self.layers.append(SimpleNamespace(max_length=to_integer("max_length", longest)))
        config = with_tokenizer(
            entry(graphs, graph, dict), self._checked(TOKENIZER).decode("utf-8")
        )
        self.preprocessor: AnyPreprocessor = preprocessing.deserialize(config)

    def predict(
        self,
        feed: Mapping[str, npt.NDArray[Any]],
        batch_size: int = 32,
        verbose: int | str = 0,
    ) -> Outputs:
        """Computes the outputs for arrays of ids, padded with zeros on the right.

        Rows of similar length share a batch, which is trimmed to the longest.

        Args:
            feed: The inputs by name.
            batch_size: Maximum number of rows in a batch.
            verbose: Has no effect.

        Returns:
            An array, or a dict of arrays by name, in the order of the rows.
        """
        arrays = [np.asarray(feed[name]) for name in self._graph_names]
        used = np.stack([_used(array) for array in arrays])
        is_encoder = "token_ids" in self._graph_names
        if is_encoder:
            # All inputs of an encoder have the same width.
            used[:] = used.max(axis=0)
        order = np.argsort(used.max(axis=0), kind="stable")
        found: list[npt.NDArray[Any] | None] = [None] * len(self._outputs)
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
            for place, (item, part) in enumerate(zip(self._outputs, outputs, strict=True)):
                whole = found[place]
                if whole is None:
                    shape = [len(arrays[0]), *part.shape[1:]]
                    if item.padding is not None:
                        shape[1] += cut
                    found[place] = whole = np.full(shape, item.padding or 0.0, "float32")
                whole[rows, : part.shape[1]] = part
        named = {
            item.name: part
            for item, part in zip(self._outputs, found, strict=True)
            if part is not None
        }
        return named if len(named) > 1 else next(iter(named.values()))

    def fit(self, *args: object) -> NoReturn:
        """Raises an error: an exported model can neither be trained nor saved."""
        raise ValueError(
            f"The model `{self.name}` is in an exported folder, which can neither be trained nor "
            "saved. Copy the folder, or use the `.keras` file that it was exported from."
        )

    save = save_pretrained = fit

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            if not self.folder.exists():
                raise FileNotFoundError(f"There is no folder `{self.folder}`.") from None
            raise self._error(f"`{name}` is missing or cannot be read ({error.strerror})") from None

    def _checked(self, name: str) -> bytes:
        content = self._read(name)
        self._compare(name, hashlib.sha256(content).hexdigest())
        return content

    def _compare(self, name: str, found: str) -> None:
        if found != self._sums.get(name):
            raise self._error(f"`{name}` is not the file that was exported: its checksum differs")

    def _check_data(self, graph: str) -> None:
        """Compares the checksums of a graph and its weights. ONNX Runtime opens no other file."""
        for name in (graph, f"{graph}_data"):
            if name != graph and name not in self._sums:
                continue
            try:
                with (self.folder / name).open("rb") as file:
                    self._compare(name, hashlib.file_digest(file, "sha256").hexdigest())
            except OSError as error:
                raise self._error(f"`{name}` is missing ({error.strerror})") from None

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns an error of ONNX Runtime into one line."""
        state = _onnxruntime().capi.onnxruntime_pybind11_state
        kinds = ("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf")
        others = ("NoModel", "NoSuchFile", "NotImplemented", "RuntimeException")
        known = tuple(getattr(state, name) for name in (*kinds, *others))
        try:
            yield
        except known as error:
            line = " ".join(str(error).split())
            raise self._error(f"ONNX Runtime says: {line:.120}") from None

    def _error(self, problem: str, advice: str = " Export the model again.") -> ValueError:
        return ValueError(f"`{str(self.folder)[-80:]}` cannot be used: {problem}.{advice}")


def with_tokenizer(config: Mapping[str, Any], text: str | None) -> dict[str, Any]:
    """Returns the config of a preprocessor with the JSON of its tokenizer replaced."""
    vectorizer = dict(entry(config, "vectorizer", dict))
    own = vectorizer.get("tokenizer")
    vectorizer["tokenizer"] = {**own, "json": text} if isinstance(own, Mapping) else text
    return {**config, "vectorizer": vectorizer}


def _used(ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Returns the number of columns of each row without padding at the end, at least 1."""
    present = np.asarray(ids.reshape(len(ids), -1, ids.shape[-1]).any(axis=1))
    last = ids.shape[-1] - np.argmax(present[:, ::-1], axis=1)
    return np.where(present.any(axis=1), last, 1)


def _onnxruntime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"An exported folder needs `onnxruntime`, which cannot be imported ({error}). Install "
            'it: `pip install "keras-qa[onnx]"`.'
        ) from error
    found: ModuleType = onnxruntime
    return found
