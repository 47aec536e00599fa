"""`python -m benchmarks.model_cards` writes a card for each preset, in the format of the Hub.

The text of a card is the section of `docs/presets.md`, and its scores are those of
`benchmarks/results/`. It needs the extra `hf`.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CARDS = ROOT / "benchmarks" / "cards"
PAGE = ROOT / "docs" / "presets.md"

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SQUAD = {"dataset_type": "rajpurkar/squad", "dataset_split": "validation"}
MLQA = {"dataset_type": "facebook/mlqa", "dataset_config": "mlqa.en.en"}
# In percent.
METRICS = {
    "accuracy": "accuracy",
    "exact_match": "exact match",
    "f1": "F1",
    "recall_at_1": "recall at 1",
    "recall_at_5": "recall at 5",
    "recall_at_20": "recall at 20",
    "mrr": "mean reciprocal rank",
}
READING = ["rajpurkar/squad", "rajpurkar/squad_v2", "google-research-datasets/tydiqa"]
READING += ["google-research-datasets/natural_questions"]
METADATA: dict[str, dict[str, Any]] = {
    "babi": {
        "pipeline_tag": "question-answering",
        "datasets": ["facebook/babi_qa"],
        "metrics": ["accuracy"],
    },
    "minilm-squad": {
        "pipeline_tag": "question-answering",
        "base_model": MINILM,
        "base_model_relation": "adapter",
        "datasets": READING,
        "metrics": ["exact_match", "f1"],
    },
    "minilm-embed": {
        "pipeline_tag": "feature-extraction",
        "base_model": MINILM,
        "base_model_relation": "quantized",
        "metrics": ["recall"],
    },
    "minilm-rerank": {
        "pipeline_tag": "text-ranking",
        "base_model": MINILM,
        "base_model_relation": "adapter",
        "datasets": READING,
        "metrics": ["recall", "mrr"],
    },
    "minilm-verify": {
        "pipeline_tag": "text-classification",
        "base_model": MINILM,
        "base_model_relation": "adapter",
        "datasets": [*READING, "google/boolq"],
    },
}


def main() -> None:
    """Writes the cards."""
    CARDS.mkdir(exist_ok=True)
    for name in METADATA:
        card(name).save(CARDS / f"{name}.md")


def card(name: str) -> ModelCard:
    """The card of a preset."""
    data = ModelCardData(
        model_name=name,
        license="apache-2.0",
        language="en",
        library_name="keras",
        tags=["keras", "keras-qa"],
        eval_results=list(SCORES[name]()) if name in SCORES else None,
        **METADATA[name],
    )
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n# {name}\n\n{section(name)}\n")


def section(name: str) -> str:
    """The section of a preset in the docs, without links and without comments of figures."""
    page = PAGE.read_text(encoding="utf-8")
    text = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)[1]
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    text = re.sub(r"<!--.*?-->", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def babi_scores() -> Iterator[EvalResult]:
    """The accuracy of the preset for stories."""
    run = _records("babi-10k-joint-jax.json")[1]
    scores = {"accuracy": 100 - round(run["validation_error"], 2)}
    title = "bAbI v1.2, English, 20 tasks"
    about = {"dataset_type": "facebook/babi_qa", "dataset_split": "validation"}
    yield from _results("question-answering", title, scores, **about)


def reader_scores() -> Iterator[EvalResult]:
    """The scores of the reader: always answered, and with unanswerable questions."""
    run = [record for record in _records("presets.json") if record["preset"] == "minilm-squad"][-1]
    titles = {
        "reading/valid.json": ("MLQA, English, always answered", MLQA),
        "squad_small/valid.json": ("SQuAD, 961 questions, always answered", SQUAD),
    }
    for file, scores in run["always"].items():
        title, about = titles[file]
        yield from _results("question-answering", title, scores, **about)
    title = "half MLQA, half unanswerable of SQuAD 2.0"
    about = {"dataset_type": "rajpurkar/squad_v2"}
    yield from _results("question-answering", title, run["mixed"], **about)


def embedder_scores() -> Iterator[EvalResult]:
    """The recall of an index by words and vectors."""
    runs = {record["contender"]: record for record in _records("retrieval.json")}
    run = runs["words and vectors"]
    scores = {f"recall_at_{first}": share for first, share in run["recall"].items()}
    title = f"SQuAD, {run['questions']:,} questions, search by words and vectors"
    yield from _results("text-retrieval", title, scores, **SQUAD)


def ranker_scores() -> Iterator[EvalResult]:
    """The scores of the ranker."""
    titles = {
        "words, ranker": ("SQuAD, 961 questions, the first paragraphs by words", SQUAD),
        "ranker": ("SelQA, sentences of an article", {"dataset_type": "emorynlp/selqa"}),
    }
    runs = {record["contender"]: record for record in _records("rerank.json")}
    for contender, (title, about) in titles.items():
        scores = {name: runs[contender][name] for name in ("recall_at_1", "mrr")}
        yield from _results("text-ranking", title, scores, **about)


SCORES = {
    "babi": babi_scores,
    "minilm-squad": reader_scores,
    "minilm-embed": embedder_scores,
    "minilm-rerank": ranker_scores,
}


def _results(task: str, title: str, scores: dict[str, float], **about: str) -> Iterator[EvalResult]:
    for metric, name in METRICS.items():
        if metric in scores:
            yield EvalResult(
                task_type=task,
                dataset_name=title,
                metric_type=metric,
                metric_name=name,
                metric_value=round(scores[metric], 2),
                **about,
            )


def _records(name: str) -> list[dict[str, Any]]:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
