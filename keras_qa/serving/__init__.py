"""An HTTP server for a reader: `create_app` makes an ASGI application, `run` serves it.

This room does not import Keras: it serves any object with the methods of `QuestionAnswerer`.
"""

try:
    import prometheus_client as _prometheus_client  # noqa: F401
    import starlette as _starlette  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"`keras_qa.serving` needs starlette, uvicorn and prometheus-client ({error}). Install "
        'them: `pip install "keras-qa[serve]"`.'
    ) from None

from keras_qa.serving.app import create_app
from keras_qa.serving.server import run

__all__ = ["create_app", "run"]
