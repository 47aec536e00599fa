"""Arguments of layers: messages for invalid ones."""

import pytest
from layer_cases import STATE, STORIES

from keras_qa import layers
from keras_qa.layers.heads import SupportHead
from keras_qa.layers.order import TemporalEncoding
from keras_qa.layers.recurrent import LSTM
from keras_qa.layers.word_features import ContextEncoder, WordEmbedding
from keras_qa.losses import SpanF1


def encoder(**options):
    return layers.TransformerEncoder(30, **{"num_heads": 2, "hidden_dim": 8, **options})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.SequenceEncoder(0), "`vocabulary_size` must be a positive integer.*=0"),
        (lambda: layers.SequenceEncoder(5, units=-1), "`units` must be a positive.*units=-1"),
        (lambda: layers.SequenceEncoder(5, cell="rnn"), "`cell` must be one of.*cell='rnn'"),
        (
            lambda: layers.SequenceEncoder(5, pooling="sum"),
            "`pooling` must be one of.*pooling='sum'",
        ),
        (lambda: layers.SequenceEncoder(5, units=True), "Received: units=True"),
        (lambda: LSTM(4, fused=1.5), r"`fused` must be .* Received: fused=1\.5\."),
        (lambda: layers.AnswerHead(2.5), "`vocabulary_size` must be.*vocabulary_size=2.5"),
        (lambda: layers.AnswerHead(5, hidden_dim=0), "`hidden_dim` must be.*hidden_dim=0"),
        (
            lambda: WordEmbedding(0),
            "`vocabulary_size` must be a positive integer.*=0",
        ),
        (
            lambda: ContextEncoder(num_layers=0),
            "`num_layers` must be.*num_layers=0",
        ),
        (
            lambda: ContextEncoder(cell="rnn"),
            "`cell` must be one of.*cell='rnn'",
        ),
        (lambda: layers.SpanHead("none"), "`no_answer` must be one of.*no_answer='none'"),
        (lambda: SpanF1(0), "`max_positions` must be.*max_positions=0"),
        (lambda: layers.SentenceEncoder(5, encoding="bag"), "`encoding` must be one of.*'bag'"),
        (lambda: layers.SentenceEncoder(5, max_words=0), "`max_words` must be a positive"),
        (lambda: layers.SentenceEncoder(5, 6, "roles", num_roles=0), "`num_roles` must be"),
        (
            lambda: TemporalEncoding(5, noise=1.0),
            "`noise` must be at least 0 and below 1",
        ),
        (lambda: TemporalEncoding(0), "`max_sentences` must be a positive integer"),
        (lambda: layers.MemoryHops(3)([STATE, STORIES[0]]), "the state and 4 encodings.*: 2 tens"),
        (lambda: encoder(num_heads=3), "`hidden_dim` must be a multiple of `num_heads`.*=8"),
        (lambda: encoder(num_layers=3, num_groups=2), "`num_layers` must be a multiple of.*=2"),
        (lambda: encoder(relative_positions="all"), "`relative_positions` must be one of.*'all'"),
        (lambda: encoder(relative_positions="bias"), "`num_buckets` must be a positive.*None"),
        (lambda: encoder(relative_terms=["p2p"]), "`relative_terms` must be one of.*'p2p'"),
        (lambda: encoder(windows=[0]), r"`windows` must have one entry for each.*=\[0\]"),
        (lambda: SupportHead(0), "`hidden_dim` must be a positive integer"),
        (
            lambda: layers.UniversalTransformerEncoder(2, 4)([STATE, STORIES[0]]),
            "`num_heads` must divide the number of features, which is 6. Received: num_heads=4",
        ),
    ],
)
def test_invalid_arguments_raise(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
