"""The process of a backend: `python process.py FUNCTION ...` runs functions of `work.py`.

Before that, with nothing else imported: which backends does a model import? On TensorFlow: does a
device apply to all threads, and does an index keep its own SQLite?
"""

from __future__ import annotations

import json
import pathlib
import sys

import keras
import numpy as np

# Keras itself looks for JAX on PyTorch.
BEFORE = set(sys.modules)

import keras_qa  # noqa: E402

BACKEND = keras.config.backend()
OTHERS = {"tensorflow", "torch", "jax"} - {BACKEND}


def imported_backends() -> list[str]:
    """The other backends that a model imports from its making to its answers."""
    model = keras_qa.models.answer_classifier(50, 40, 7, 6, 5)
    feed, labels = [np.ones((8, 9), "int32"), np.ones((8, 4), "int32")], np.zeros(8, "int32")
    model.fit(feed, labels, epochs=2, verbose=0)
    model.evaluate(feed, labels, verbose=0)
    model.predict(feed, verbose=0)
    model.predict([array[:1] for array in feed], verbose=0)
    return sorted(OTHERS & (set(sys.modules) - BEFORE))


def searched() -> list[str]:
    """The documents of an index that this process makes and searches."""
    with keras_qa.documents.Index.create(f"{BACKEND}.index", language="en") as index:
        index.add([{"name": "a.txt", "text": "The warranty is two years."}])
        return [hit.document for hit in index.search("Which warranties?")]


if __name__ == "__main__":
    alone = searched() if BACKEND == "tensorflow" else imported_backends()
    pathlib.Path(f"alone-{BACKEND}.json").write_text(json.dumps(alone))
    # KerasHub imports TensorFlow where it is installed, which takes seconds.
    sys.modules.update(dict.fromkeys(OTHERS - set(sys.modules)))
    import work

    for function in sys.argv[1:]:
        getattr(work, function)()
