"""An HTTP server for models: `create_app` makes an ASGI application, `run` serves it.

This room does not import Keras: it serves any objects with the methods of readers and rankers.
"""

try:
    from keras_qa.serving.app import create_app
    from keras_qa.serving.server import run
except ImportError as error:
    raise ImportError(
        f"`keras_qa.serving` needs starlette, uvicorn and prometheus-client ({error}). Install "
        'them: `pip install "keras-qa[serve]"`.'
    ) from None

__all__ = ["create_app", "run"]
