"""Readers with logits of answer types: what the types change, and labels that are refused."""

import keras
import numpy as np
import pytest
from small_backbones import MARKED, backbone_reader
from small_models import assert_predicted_again, reader, same_weights, words_to_find

KINDS = {"scratch": reader, "backbone": backbone_reader}


@pytest.mark.parametrize("kind", KINDS)
def test_answer_types_have_positions_and_change_no_other(kind: str) -> None:
    plain = KINDS[kind]()
    typed = KINDS[kind](answer_types=["no", "span", "yes"])
    assert (plain.answer_types, typed.answer_types) == ((), ("no", "yes"))
    *same, head = typed.layers
    for layer, other in zip(same, plain.layers[:-1], strict=True):
        layer.set_weights(other.get_weights())
    head.logits.set_weights(plain.layers[-1].logits.get_weights())
    if head.no_answer == "learned":
        head.none.assign(plain.layers[-1].none)
    own = plain.preprocessor
    x = words_to_find()[0] if own is None else own.vectorizer(MARKED).feed
    expected, found = (model.predict(x, verbose=0) for model in (plain, typed))
    features = keras.Model(typed.inputs, head.input).predict(x, verbose=0)
    # The input of a head on a backbone has a mask, too.
    vectors = [part[:, 0] for part in keras.tree.flatten(features) if part.ndim == 3]
    first = np.concatenate(vectors, axis=-1)
    kernel, bias = head.type_logits.get_weights()
    for name in ("start", "end"):
        assert_predicted_again(np.delete(found[name], [1, 2], axis=1), expected[name])
        np.testing.assert_allclose(found[name][:, 1:3], first @ kernel + bias, atol=1e-5)
    # The labels of typed readers are checked as others are.
    rows, width = found["start"].shape
    before = typed.get_weights()
    labels = {name: np.full(rows, width) for name in ("start", "end")}
    with pytest.raises(ValueError, match=rf"there are {width} positions \(0 to {width - 1}\)"):
        typed.fit(x, labels, verbose=0)
    assert same_weights(typed, before)
