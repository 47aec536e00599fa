"""A small reader, and a server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keras_qa import QuestionAnswerer

# `servers` needs the extra `serve`. pytest reads this file in environments without it, too.


@pytest.fixture(scope="session")
def qa() -> QuestionAnswerer:
    from servers import small_reader

    return small_reader()


@pytest.fixture(scope="session")
def url(qa) -> Iterator[str]:
    """A server with limits that tests can exceed."""
    from servers import serve

    limits = {"max_body": 20_000, "max_text": 5_000, "max_question": 200, "max_questions": 8}
    with serve(qa, name="small/reader", body_timeout=0.3, **limits) as url:
        yield url
