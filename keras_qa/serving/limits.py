"""`Limits`: what the server accepts, and how long it works on it."""

from __future__ import annotations

import dataclasses

from keras_qa._arguments import check_number, to_integer


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of a server. Texts and questions are counted in characters.

    Args:
        max_batch: Maximum number of questions that the model reads at once.
        max_wait_ms: After a batch, the longest wait for more questions, if fewer than `max_batch`
            are waiting. An idle server never waits.
        max_queue: Maximum number of questions that wait for the model.
        max_body: Maximum size of a request in bytes.
        max_text: Maximum length of a text. The texts of a batch have no more together, unless
            it is a single one.
        max_question: Maximum length of a question.
        max_question_tokens: For span readers: tokens of a question that are read; the rest is cut
            off. A long question leaves little room for the text in a window, so that one request
            could make thousands of windows.
        max_questions: Maximum number of questions in a request.
        max_passages: Maximum number of passages that the questions of a request name together.
        max_texts: Maximum number of texts in a request for ranking.
        max_top_k: Maximum number of answers to a question.
        timeout: Seconds after which a request fails if it has no answers. The model stops reading
            after at most `max_batch` more windows.
        body_timeout: Seconds in which the body of a request must arrive.

    Raises:
        ValueError: If a limit is out of its range.
    """

    max_batch: int = 32
    max_wait_ms: float = 5.0
    max_queue: int = 256
    max_body: int = 1_048_576
    max_text: int = 100_000
    max_question: int = 2_000
    max_question_tokens: int = 128
    max_questions: int = 64
    max_passages: int = 1_000
    max_texts: int = 256
    max_top_k: int = 100
    timeout: float = 30.0
    body_timeout: float = 10.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int":
                to_integer(field.name, value)
            else:
                check_number(field.name, value, positive=field.name != "max_wait_ms")
        if self.max_wait_ms < 0:
            raise ValueError(
                f"`max_wait_ms` must not be negative. Received: max_wait_ms={self.max_wait_ms}."
            )
        if self.max_questions > self.max_queue:
            raise ValueError(
                "`max_questions` must be at most `max_queue`, or the questions of a request do not "
                f"fit. Received: max_questions={self.max_questions}, max_queue={self.max_queue}."
            )
