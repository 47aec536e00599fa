"""What finds passages: an index, or anything else with a `search`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from keras_qa.documents.document import Hit


class Retriever(Protocol):
    """Finds the passages that have most to do with a question.

    `Index` is one, and so is any object with a method `search(questions, k)`:
    `QuestionAnswerer.ask` takes it in place of an index.

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
        """Finds passages for some questions.

        Args:
            questions: The questions.
            k: Most passages a question.

        Returns:
            For each question a list of `Hit` objects, best first, `k` at most. It may be empty.
            `document`, `text` and `score` are all that a hit needs. Where passages are parts of a
            document, `start` says where they begin in it, and `line` and `page` if they are known.
        """
        ...


def found_by(retriever: Retriever, questions: list[str], k: int) -> Sequence[Sequence[Hit]]:
    """What a retriever finds for some questions, once it is known to be what it should be.

    Args:
        retriever: An `Index`, or another `Retriever`.
        questions: The questions.
        k: Most passages a question.

    Returns:
        A list of `Hit` objects for each question.

    Raises:
        TypeError: If it is no retriever, or gives something else than lists of `Hit` objects.
        ValueError: If it gives not as many lists as there are questions, or more than `k` hits.
    """
    if not callable(getattr(retriever, "search", None)):
        raise TypeError(
            "`index` must be a `documents.Index`, or have a method `search(questions, k)`. "
            f"Received: {retriever!r:.80} (of type {type(retriever).__name__})."
        )
    found = retriever.search(questions, k)
    expected = f"`search` of the {type(retriever).__name__} must give a list of `Hit` objects a"
    if not isinstance(found, (list, tuple)):
        raise TypeError(f"{expected} question, in a list. It gave: {found!r:.80}.")
    if len(found) != len(questions):
        raise ValueError(f"{expected} question. It gave {len(found)} for {len(questions)}.")
    for question, hits in zip(questions, found, strict=True):
        if not isinstance(hits, (list, tuple)):
            raise TypeError(f"{expected} question. For {question!r:.80} it gave: {hits!r:.80}.")
        if len(hits) > k:
            raise ValueError(f"{expected} question, {k} at most. It gave {len(hits)}.")
        odd = next((hit for hit in hits if not isinstance(hit, Hit)), None)
        if odd is not None:
            raise TypeError(
                f"{expected} question. For {question!r:.80} there is one of type "
                f"{type(odd).__name__} among them. Make it a `documents.Hit`."
            )
    return found
