"""`Limits`: what the server accepts, and how long it works on it."""

from __future__ import annotations

import dataclasses

from keras_qa._arguments import check_number, to_integer


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of a server, see docs/serving.md. Texts and questions are counted in characters."""

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
    max_answer: int = 10_000
    max_sentences: int = 100
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
