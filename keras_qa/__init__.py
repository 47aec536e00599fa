"""Question answering for Keras 3, on TensorFlow, PyTorch and JAX alike."""

from keras_qa import _backend

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Example",
    "QuestionAnswerer",
    "Support",
    "answering",
    "datasets",
    "decoding",
    "inputs",
    "layers",
    "load",
    "metrics",
    "models",
    "plots",
    "recipes",
    "report",
    "text",
]

if _backend.problem() is None:
    from keras_qa import (
        answering,
        datasets,
        decoding,
        inputs,
        layers,
        metrics,
        models,
        plots,
        recipes,
        report,
        text,
    )
    from keras_qa.answering import QuestionAnswerer, load
    from keras_qa.example import Answer, Example, Support
elif _backend.undecided():
    # `keras-qa` imports this package before it can choose the one backend that is there.
    def __getattr__(name: str) -> None:
        problem = _backend.problem()
        if name in __all__ and problem is not None:
            raise ImportError(problem)
        # Python then looks for a module of that name.
        raise AttributeError(f"module 'keras_qa' has no attribute {name!r}")
else:
    raise ImportError(_backend.problem())
