"""Models for batches of Ray Data, Spark and Dask, and answers to files by Ray.

Only `answer_files` needs ray.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import must_be, quote_names, to_optional_integer
from keras_qa._terminal import Bar, blocked_sigint
from keras_qa.answering import Reranker, TextEmbedder
from keras_qa.answering.answer_parts import Part, PartPlan, PartWriter, lock_folder
from keras_qa.answering.loading import load
from keras_qa.answering.opening import DEFAULT_RANKER, use_backend
from keras_qa.answering.verification import open_classifier, open_documents, verify
from keras_qa.integrations.answer_metadata import missing_package

# How often a worker that ends is replaced.
_RESTARTS = 10

Batch = Mapping[str, Sequence[Any] | npt.NDArray[Any]]


class KerasQAPredictor:
    """A model for batches of columns, which is loaded once.

    For `map_batches` of Ray Data, `mapInPandas` of Spark and `map_partitions` of Dask. The model
    decides which columns it reads and adds:

    - A reader or a classifier of answers reads `text`, `question` and, if there are any, `choices`.
      It adds `answer`, `score`, `start` and `end`. These two are -1 if an answer has no place.
    - An embedder reads `text` and adds `embedding`, `(rows, dimension)` float32.
    - A ranker reads `question` and lists `texts`. It adds lists: `ranking`, the positions of the
      texts, best first, and their `scores`.
    - With `documents`, a reader checks `answer` and, if there is any, `question`, see
      `keras_qa.verify`. It adds `supported`, whether all sentences are, and `unsupported`, the
      other sentences in lines.

    Args:
        model: What `keras_qa.load` takes. For an exported folder Keras is not imported.
        documents: The path of a `documents.Index`, or of a folder or a file of documents.
        backend: `"tensorflow"`, `"torch"` or `"jax"`, which must be chosen before Keras is
            imported. `None` for the backend of `import keras_qa`.
        **options: Of `QuestionAnswerer.answer`, `TextEmbedder.__call__`, `Reranker.rank` or
            `verify`, such as `batch_size`.

    Raises:
        TypeError: If `model` is no name or path, or an option is unknown.
        ValueError: If Keras already uses another backend, or an option is out of its range; in a
            call, if a column is missing, or a column has the name of a result.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.integrations.ray import KerasQAPredictor
        >>> predict = KerasQAPredictor("minilm-squad")
        >>> texts = np.array(["The warranty is two years."], dtype=object)
        >>> questions = np.array(["How long is the warranty?"], dtype=object)
        >>> batch = predict({"text": texts, "question": questions})
        >>> batch["answer"][0], batch["start"][0], batch["end"][0]
        ('two years', np.int64(16), np.int64(25))
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        documents: str | os.PathLike[str] | None = None,
        backend: str | None = None,
        **options: object,
    ) -> None:
        if not isinstance(model, (str, os.PathLike)):
            raise TypeError(must_be("model", "a name or a path, which each worker loads", model))
        # Claims are checked with a ranker, too.
        use_backend(backend, model, *([] if documents is None else [DEFAULT_RANKER]))
        self._options: dict[str, Any] = options
        self._model: Any = load(model, compile=False)
        self._predict = self._answer
        if documents is not None:
            self._predict = self._verify
            self._set_documents(model, documents)
        elif isinstance(self._model, TextEmbedder):
            self._predict = self._embed
        elif isinstance(self._model, Reranker):
            self._predict = self._rank
        else:
            for name in ("top_k", "all_spans"):
                if name in options:
                    raise ValueError(f"A row has one answer. Leave `{name}` out.")
            # Raise for wrong options before the first batch.
            self._answer({"text": [], "question": []})

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """Returns the columns of a batch, which may be a data frame, and those of the results."""
        columns = dict(batch)
        results = self._predict(columns)
        twice = results.keys() & columns.keys()
        if twice:
            raise ValueError(
                f"The batch has columns {quote_names(sorted(twice))}, which the results have too. "
                "Rename or drop them."
            )
        return {**columns, **results}

    def _set_documents(
        self, model: str | os.PathLike[str], documents: str | os.PathLike[str]
    ) -> None:
        self._model = open_classifier(model, self._model) or self._model
        for name in ("ranker", "checker"):
            # `verify` loads other than its default models in each call.
            if isinstance(self._options.get(name), (str, os.PathLike)):
                self._options[name] = Reranker(self._options[name])
        # The index is open as long as this object exists.
        self._stack = contextlib.ExitStack()
        self._index = self._stack.enter_context(open_documents(documents))

    def _answer(self, columns: Batch) -> dict[str, npt.NDArray[Any]]:
        names = ["text", "question", *(["choices"] if "choices" in columns else [])]
        values = [_values(columns, name) for name in names]
        examples = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        answers: Any = self._model.answer(examples, verbose=0, **self._options)
        places = [(-1, -1) if a.start is None else (a.start, a.end) for a in answers]
        return {
            "answer": np.array([answer.text for answer in answers], object),
            "score": np.array([answer.score for answer in answers], "float64"),
            "start": np.array([start for start, _ in places], "int64"),
            "end": np.array([end for _, end in places], "int64"),
        }

    def _embed(self, columns: Batch) -> dict[str, npt.NDArray[Any]]:
        return {"embedding": self._model(_values(columns, "text"), **self._options)}

    def _rank(self, columns: Batch) -> dict[str, npt.NDArray[Any]]:
        questions, texts = _values(columns, "question"), _values(columns, "texts")
        results = {name: np.empty(len(questions), object) for name in ("ranking", "scores")}
        for row, ranked in enumerate(self._model.rank(questions, texts, **self._options)):
            results["ranking"][row] = np.array([item.index for item in ranked], "int64")
            results["scores"][row] = np.array([item.score for item in ranked], "float64")
        return results

    def _verify(self, columns: Batch) -> dict[str, npt.NDArray[Any]]:
        answers = _values(columns, "answer")
        has_questions = "question" in columns
        questions = _values(columns, "question") if has_questions else [None] * len(answers)
        unsupported = []
        for answer, question in zip(answers, questions, strict=True):
            verdicts = verify(answer, self._index, question, self._model, **self._options)
            unsupported.append([item.text for item in verdicts if not item.supported])
        return {
            "supported": np.array([not texts for texts in unsupported], bool),
            "unsupported": np.array(["\n".join(texts) for texts in unsupported], object),
        }


def answer_files(
    reader: str,
    path: str,
    out: str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
    text: str | None = None,
    workers: int | None = None,
    batch_size: int = 32,
    size: int = 1_000,
    verbose: int = 1,
    **settings: object,
) -> tuple[int, int]:
    """Answers the questions of files by workers of Ray, and writes the answers to a folder.

    Returns the numbers of questions that this call and earlier calls answered, see `PartPlan`. It
    uses the cluster of `RAY_ADDRESS` or of an earlier `ray.init`, else it starts one. All nodes
    must reach the files by the same paths. `workers` is at most, and by default, the number of
    processors.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise missing_package("ray", "ray", error) from None
    to_optional_integer("workers", workers)
    with lock_folder(out):
        plan = PartPlan(reader, path, out, columns or {}, text, batch_size, size, **settings)
        missing = plan.missing()
        total = sum(part.block.rows or 0 for part in plan.parts)
        before = done = total - sum(part.block.rows or 0 for part in missing)
        bar = Bar(total, before) if verbose else None
        if missing:
            with _start_workers(workers, len(missing), plan.arguments) as actors:
                for count in _write_parts(actors, missing):
                    done += count
                    if bar is not None:
                        bar.show(done)
        if bar is not None:
            bar.end(done)
        plan.clean()
    return done - before, before


@contextlib.contextmanager
def _start_workers(
    workers: int | None, parts: int, arguments: tuple[object, ...]
) -> Iterator[list[Any]]:
    """Yields workers, one for each processor if `workers` is `None`, and ends them."""
    import ray

    is_own = not ray.is_initialized()
    actors: list[Any] = []
    try:
        if is_own:
            ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
        most = int(ray.cluster_resources().get("CPU", 0))
        if workers is not None and workers > most:
            expected = f"at most {most}, the number of processors of the Ray cluster"
            raise ValueError(must_be("workers", expected, workers))
        # If a worker is killed, Ray starts another and repeats its part. Until Ray knows that a
        # node is lost, each repetition fails at once, so their number has no limit.
        options = {"num_cpus": 1, "max_restarts": _RESTARTS, "max_task_retries": -1}
        kind = ray.remote(**options)(PartWriter)
        for _ in range(min(workers or most, parts)):
            actors.append(kind.remote(*arguments))
        yield actors
    finally:
        if is_own:
            # The command repeats Ctrl-C, which would leave processes behind.
            with blocked_sigint():
                ray.shutdown()
        else:
            # After an error, some are still at work.
            for actor in actors:
                ray.kill(actor)


def _write_parts(actors: list[Any], parts: list[Part]) -> Iterator[int]:
    """Yields the number of questions of each part that was written."""
    import ray
    from ray.util import ActorPool

    try:
        results = ActorPool(actors).map_unordered(
            lambda actor, part: actor.write.remote(part), parts
        )
        for questions, problem in results:
            if problem:
                raise ValueError(problem)
            yield questions
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayActorError as error:
        line = " ".join(str(error).split())
        raise ValueError(f"A worker of Ray ended again and again: {line[-200:]}") from None


def _values(columns: Batch, name: str) -> list[Any]:
    if name not in columns:
        raise ValueError(f"The batch has no column `{name}`. It has: {quote_names(columns)}.")
    is_numpy = (np.ndarray, np.generic)
    return [item.tolist() if isinstance(item, is_numpy) else item for item in columns[name]]
