"""Which models each backend saves. Without Keras, which takes one backend a process."""

from __future__ import annotations

from interpreters import BACKENDS

CLASSIFIERS = {
    f"{cell}-{pooling}-{'both' if bidirectional else 'forward'}": {
        "cell": cell,
        "pooling": pooling,
        "bidirectional": bidirectional,
    }
    for cell in ("lstm", "gru")
    for pooling in ("last", "mean", "max")
    for bidirectional in (False, True)
}
# In these each two settings meet.
FEW = {
    "tensorflow": ["lstm-last-forward", "gru-max-both"],
    "torch": ["lstm-mean-both", "gru-last-both"],
    "jax": ["lstm-max-forward", "gru-mean-forward"],
}
STORIES = ["memory-network", "universal-transformer"]
MINILM = "reader-minilm"
READERS = ["reader-scratch", "reader-backbone"]


def saved_by(backend: str, everything: bool) -> list[str]:
    """The models that a backend saves. One of them alone saves MiniLM, which takes 90 MB."""
    classifiers = list(CLASSIFIERS) if everything else FEW[backend]
    return [*classifiers, *STORIES, *READERS, *([MINILM] if backend == "torch" else [])]


def saved(everything: bool) -> list[str]:
    """The models that all backends save."""
    return [f"{backend}-{name}" for backend in BACKENDS for name in saved_by(backend, everything)]
