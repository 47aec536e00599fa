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
STORIES = ["memory-network", "universal-transformer"]
MINILM = "reader-minilm"
READERS = ["reader-scratch", "reader-backbone"]
# In these each two settings of classifiers meet, and each kind of model is there.
FEW = {
    "tensorflow": ["lstm-last-forward", "gru-max-both", "memory-network", "reader-scratch"],
    "torch": ["lstm-mean-both", "gru-last-both", "universal-transformer", "reader-backbone"],
    "jax": ["lstm-max-forward", "gru-mean-forward", "universal-transformer", "reader-scratch"],
}


def saved_by(backend: str, everything: bool) -> list[str]:
    """The models that a backend saves. One of them alone saves MiniLM, which takes 90 MB."""
    models = [*CLASSIFIERS, *STORIES, *READERS] if everything else FEW[backend]
    return [*models, *([MINILM] if backend == "torch" else [])]


def saved(everything: bool) -> list[str]:
    """The models that all backends save."""
    return [f"{backend}-{name}" for backend in BACKENDS for name in saved_by(backend, everything)]
