"""`Retriever`, the interface of an index, and checks of what a retriever returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from keras_qa.documents.document import Hit


class Retriever(Protocol):
    """Finds the most relevant passages for questions.

    `Index` is a retriever, and so is any object with a method `search(questions, k)`.
    `QuestionAnswerer.ask` accepts it instead of an index.

    Examples:
        >>> from keras_qa.documents import Hit
        >>> class Shared:
        ...     def __init__(self, texts):
        ...         self.texts = texts
        ...     def search(self, questions, k):
        ...         return [self.best(set(question.lower().split()), k) for question in questions]
        ...     def best(self, words, k):
        ...         found = [
        ...             Hit(name, text, len(words & set(text.lower().split())))
        ...             for name, text in self.texts.items()
        ...         ]
        ...         found = [hit for hit in found if hit.score > 0]
        ...         return sorted(found, key=lambda hit: -hit.score)[:k]
        >>> texts = {"oslo": "Ferries cross the fjord.", "rome": "Rome lies on the Tiber."}
        >>> hits = Shared(texts).search(["Where do ferries go?"], k=1)
        >>> hits[0][0].document, hits[0][0].end
        ('oslo', 24)
    """

    def search(self, questions: list[str], k: int, /) -> Sequence[Sequence[Hit]]:
        """Finds passages for several questions.

        Args:
            questions: The questions.
            k: Maximum number of passages for each question.

        Returns:
            For each question a list of at most `k` `Hit` objects, best first. It may be empty. A
            hit needs `document`, `text` and `score`; if passages are parts of a document, also
            `start`, and `line` and `page` if they are known.
        """
        ...


def retrieve(retriever: Retriever, questions: list[str], k: int) -> Sequence[Sequence[Hit]]:
    """Searches with a retriever, and checks what it returns.

    Raises:
        TypeError: If it is not a retriever, or returns anything but lists of `Hit` objects.
        ValueError: If it does not return a list for each question, or returns more than `k` hits.
    """
    if not callable(getattr(retriever, "search", None)):
        raise TypeError(
            "`index` must be a `documents.Index`, or have a method `search(questions, k)`. "
            f"Received: {retriever!r:.80} (of type {type(retriever).__name__})."
        )
    found = retriever.search(questions, k)
    expected = (
        f"`search` of the {type(retriever).__name__} must return a list of `Hit` objects for each"
    )
    if not isinstance(found, (list, tuple)):
        raise TypeError(f"{expected} question, in a list. Received: {found!r:.80}.")
    if len(found) != len(questions):
        raise ValueError(f"{expected} question. Received: {len(found)} for {len(questions)}.")
    for question, hits in zip(questions, found, strict=True):
        if not isinstance(hits, (list, tuple)):
            raise TypeError(f"{expected} question. Received for {question!r:.80}: {hits!r:.80}.")
        if len(hits) > k:
            raise ValueError(f"{expected} question, at most {k}. Received: {len(hits)}.")
        odd = next((hit for hit in hits if not isinstance(hit, Hit)), None)
        if odd is not None:
            raise TypeError(
                f"{expected} question. Received for {question!r:.80} one of type "
                f"{type(odd).__name__}. Make it a `documents.Hit`."
            )
    return found
