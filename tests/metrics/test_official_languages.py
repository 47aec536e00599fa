"""Scores of answers in other languages, as MLQA computes them."""

import official_mlqa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa import Example, metrics

LANGUAGES = ["ar", "de", "en", "es", "hi", "vi", "zh"]
LETTERS = st.text(
    st.one_of(
        st.sampled_from(list("aàbßdei nrsu là của 的北京市年،。，（）«»¿ 0128.,-")),
        st.sampled_from(list("الكتابमैंघर")),
        st.characters(codec="utf-8"),
    ),
    max_size=30,
)


@pytest.mark.parametrize(
    ("language", "predicted", "expected", "score"),
    [
        # 2 of 5 characters are right, and 2 of 2 are found.
        ("ja", "東京タワー", "東京", 4 / 7 * 100),
        ("th", "กรุง", "กรุงเทพ", 8 / 11 * 100),
    ],
)
def test_f1_of_languages_that_mlqa_does_not_have(
    language: str, predicted: str, expected: str, score: float
) -> None:
    references = [Example("", "?", expected, id="q")]
    found = metrics.squad({"q": predicted}, references, language=language)
    assert found == {"exact_match": 0.0, "f1": pytest.approx(score)}


@given(st.sampled_from(LANGUAGES), LETTERS, LETTERS)
def test_any_two_answers_score_as_mlqa_scores_them(language, predicted, expected) -> None:
    references = [Example("", "?", expected, id="q")]
    found = metrics.squad({"q": predicted}, references, language=language)
    assert found["f1"] == pytest.approx(100 * official_mlqa.f1(predicted, expected, language))
    same = official_mlqa.tokens(predicted, language) == official_mlqa.tokens(expected, language)
    assert found["exact_match"] == 100.0 * same


def test_an_unknown_language_is_named() -> None:
    with pytest.raises(ValueError, match="`language` must be one of 'ar', .* language='xx'"):
        metrics.squad({"q": "a"}, [Example("", "?", "a", id="q")], language="xx")
