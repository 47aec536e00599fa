"""A ranker, a retriever and answers with sources for LangChain. Needs langchain-core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_qa._arguments import to_integer
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.document_answers import AnyReranker
from keras_qa.answering.opening import DEFAULT_RANKER, DEFAULT_READER
from keras_qa.example import Answer
from keras_qa.integrations.answer_metadata import (
    check_query,
    find_sources,
    missing_package,
    open_reader,
    ranker_fields,
    search,
    to_metadata,
)

try:
    from langchain_core.documents import BaseDocumentCompressor, Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import Runnable, RunnableLambda
except ImportError as error:
    raise missing_package("langchain", "langchain-core", error) from None


class KerasQAReranker(BaseDocumentCompressor):
    """Sorts documents by how well they answer a query, see `answering.Reranker`.

    A document compressor, for example for LangChain's `ContextualCompressionRetriever`. It returns
    copies of the documents, best first, with their `score` in the metadata.

    Args:
        model: An `answering.Reranker`, or its argument.
        top_n: Maximum number of documents. `None` for all.
        batch_size: Number of documents in a batch.

    Examples:
        >>> from langchain_core.documents import Document
        >>> from keras_qa.integrations.langchain import KerasQAReranker
        >>> documents = [Document("It rains."), Document("The warranty is two years.")]
        >>> ranker = KerasQAReranker(top_n=1)
        >>> best = ranker.compress_documents(documents, "How long is the warranty?")
        >>> [document.page_content for document in best]
        ['The warranty is two years.']
    """

    ranker: Any
    top_n: int | None
    batch_size: int

    def __init__(
        self, model: AnyReranker = DEFAULT_RANKER, top_n: int | None = None, batch_size: int = 32
    ) -> None:
        super().__init__(**ranker_fields(model, top_n, batch_size))

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: object = None
    ) -> list[Document]:
        """Sorts documents, and keeps the first `top_n`."""
        check_query(query)
        texts = [document.page_content for document in documents]
        ranked = self.ranker.rank(query, texts, self.top_n, self.batch_size)
        return [
            document.model_copy(update={"metadata": {**document.metadata, "score": item.score}})
            for item in ranked
            for document in [documents[item.index]]
        ]


class KerasQARetriever(BaseRetriever):
    """Searches an index of documents.

    Documents have the passage as their content, and `document`, `line`, `page`, `score`, `start`
    and `end` in their metadata.

    Args:
        index: A `documents.Index`, or another `documents.Retriever`.
        k: Maximum number of passages.
        **options: Arguments of LangChain's `BaseRetriever`, such as `tags`.
    """

    index: Any
    k: int

    def __init__(self, index: object, k: int = 10, **options: object) -> None:
        super().__init__(index=index, k=to_integer("k", k), **options)

    def _get_relevant_documents(self, query: str, *, run_manager: object) -> list[Document]:
        passages, _ = search(self.index, query, self.k)
        return [Document(item.text, metadata=to_metadata(item)) for item in passages]


def answer_with_sources(
    index: object, reader: str | QuestionAnswerer = DEFAULT_READER, **options: object
) -> Runnable:
    """A runnable that answers questions from an index, without a language model.

    Args:
        index: A `documents.Index`, or another `documents.Retriever`.
        reader: A `QuestionAnswerer`, or what `keras_qa.load` takes.
        **options: Arguments of `QuestionAnswerer.ask`, such as `min_score` and `ranker`.

    Returns:
        A `Runnable` that takes a question. It returns a dict with the `answer`, empty if there is
        none, its `document`, `line`, `page`, `score`, `start` and `end`, and as `sources` a list of
        `Document` with the text around each place that mentions it. With `top_k` a list of dicts.

    Examples:
        >>> import os, tempfile, keras_qa
        >>> from keras_qa.integrations.langchain import answer_with_sources
        >>> index = keras_qa.documents.Index.create(os.path.join(tempfile.mkdtemp(), "all.index"))
        >>> index.add([{"name": "drill.txt", "text": "The warranty of the drill is two years."}])
        1
        >>> answer = answer_with_sources(index).invoke("How long is the warranty of the drill?")
        >>> answer["answer"], answer["document"], answer["sources"][0].page_content
        ('two years', 'drill.txt', 'The warranty of the drill is two years.')
    """
    answerer: Any = open_reader(reader)

    def describe(answer: Answer) -> dict[str, Any]:
        sources = [
            Document(text, metadata=to_metadata(source))
            for text, source in find_sources(index, answer)
        ]
        return {"answer": answer.text, **to_metadata(answer), "sources": sources}

    def ask(query: str) -> dict[str, Any] | list[dict[str, Any]]:
        check_query(query)
        result = answerer.ask(index, query, **options)
        return [describe(item) for item in result] if isinstance(result, list) else describe(result)

    return RunnableLambda(ask, name="keras_qa")
