"""A ranker, a retriever and a query engine for LlamaIndex. Needs llama-index-core."""

from __future__ import annotations

from typing import Any

from keras_qa._arguments import to_integer
from keras_qa.answering.answerer import QuestionAnswerer
from keras_qa.answering.document_answers import AnyReranker
from keras_qa.answering.opening import DEFAULT_RANKER, DEFAULT_READER
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
    from llama_index.core.base.response.schema import Response
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.query_engine import CustomQueryEngine
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ImportError as error:
    raise missing_package("llama_index", "llama-index-core", error) from None


class KerasQAReranker(BaseNodePostprocessor):
    """Sorts nodes by how well they answer a query, see `answering.Reranker`.

    A node postprocessor, which returns the nodes with new scores, best first.

    Args:
        model: An `answering.Reranker`, or its argument.
        top_n: Maximum number of nodes. `None` for all.
        batch_size: Number of nodes in a batch.

    Examples:
        >>> from llama_index.core.schema import NodeWithScore, TextNode
        >>> from keras_qa.integrations.llama_index import KerasQAReranker
        >>> texts = ["It rains.", "The warranty is two years."]
        >>> nodes = [NodeWithScore(node=TextNode(text=text)) for text in texts]
        >>> ranker = KerasQAReranker(top_n=1)
        >>> best = ranker.postprocess_nodes(nodes, query_str="How long is the warranty?")
        >>> [node.text for node in best]
        ['The warranty is two years.']
    """

    ranker: Any
    top_n: int | None
    batch_size: int

    def __init__(
        self, model: AnyReranker = DEFAULT_RANKER, top_n: int | None = None, batch_size: int = 32
    ) -> None:
        super().__init__(**ranker_fields(model, top_n, batch_size))

    @classmethod
    def class_name(cls) -> str:
        """Returns the name of the class in LlamaIndex."""
        return cls.__name__

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = query_bundle and query_bundle.query_str
        check_query(query)
        texts = [item.node.get_content() for item in nodes]
        ranked = self.ranker.rank(query, texts, self.top_n, self.batch_size)
        return [NodeWithScore(node=nodes[item.index].node, score=item.score) for item in ranked]


class KerasQARetriever(BaseRetriever):
    """Searches an index of documents.

    Nodes have the passage as their text, its score, and `document`, `line`, `page`, `score`,
    `start` and `end` in their metadata.

    Args:
        index: A `documents.Index`, or another `documents.Retriever`.
        k: Maximum number of passages.
        **options: Arguments of LlamaIndex' `BaseRetriever`, such as `callback_manager`.
    """

    def __init__(self, index: object, k: int = 10, **options: object) -> None:
        super().__init__(**options)
        self.index, self.k = index, to_integer("k", k)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        passages, _ = search(self.index, query_bundle.query_str, self.k)
        return [_to_node(item.text, item) for item in passages]


class KerasQAQueryEngine(CustomQueryEngine):
    """Answers questions from an index, without a language model.

    A response has the answer as its text, empty if there is none, and `document`, `line`, `page`,
    `score`, `start` and `end` in its metadata. Its source nodes have the text around each place
    that mentions the answer.

    Args:
        index: A `documents.Index`, or another `documents.Retriever`.
        reader: A `QuestionAnswerer`, or what `keras_qa.load` takes.
        **options: Arguments of `QuestionAnswerer.ask` without `top_k`, such as `min_score`.

    Examples:
        >>> import os, tempfile, keras_qa
        >>> from keras_qa.integrations.llama_index import KerasQAQueryEngine
        >>> index = keras_qa.documents.Index.create(os.path.join(tempfile.mkdtemp(), "all.index"))
        >>> index.add([{"name": "drill.txt", "text": "The warranty of the drill is two years."}])
        1
        >>> engine = KerasQAQueryEngine(index)
        >>> response = engine.query("How long is the warranty of the drill?")
        >>> response.response, response.metadata["document"], response.source_nodes[0].text
        ('two years', 'drill.txt', 'The warranty of the drill is two years.')
    """

    index: Any
    reader: Any
    options: dict[str, Any]

    def __init__(
        self, index: object, reader: str | QuestionAnswerer = DEFAULT_READER, **options: object
    ) -> None:
        if "top_k" in options:
            raise TypeError("A response has one answer. Leave `top_k` out.")
        super().__init__(index=index, reader=open_reader(reader), options=options)

    def custom_query(self, query_str: str) -> Response:
        """Answers a question."""
        check_query(query_str)
        answer = self.reader.ask(self.index, query_str, **self.options)
        sources = [_to_node(*pair) for pair in find_sources(self.index, answer)]
        return Response(answer.text, source_nodes=sources, metadata=to_metadata(answer))


def _to_node(text: str, item: Any) -> NodeWithScore:
    node = TextNode(text=text, metadata=to_metadata(item))
    return NodeWithScore(node=node, score=item.score)
