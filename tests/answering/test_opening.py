"""What a path or a name refers to."""

import pathlib

import numpy as np
import pytest

import keras_qa
from keras_qa import QuestionAnswerer
from keras_qa.answering.opening import check_names, find, is_exported_here, is_local, open_model
from keras_qa.data import presets
from keras_qa.preprocessing import SpanPreprocessor, WordPreprocessor

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def test_each_kind_of_path_and_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    squad = str(presets.FOLDER / "minilm-squad.keras")
    exported = str(GOLDEN / "exported" / "reader")
    expected = {
        exported: ("exported", exported),
        f"{exported}/onnx/model.onnx": ("exported", f"{exported}/onnx/model.onnx"),
        str(tmp_path): ("published", str(tmp_path)),
        "hf://owner/name": ("published", "hf://owner/name"),
        "minilm": ("published", "minilm"),
        "minilm-embed": ("embedder", "minilm"),
        "minilm-squad": ("adapter", squad),
        squad: ("adapter", squad),
        str(GOLDEN / "reader.keras"): ("file", str(GOLDEN / "reader.keras")),
    }
    assert {name: find(name) for name in expected} == expected
    assert find(pathlib.Path(squad)) == ("adapter", squad)


def test_a_path_comes_first_then_a_preset_then_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    pathlib.Path("minilm-squad").write_text("a file of mine")
    assert find("minilm-squad") == ("file", "minilm-squad")
    with pytest.raises(ValueError, match="not a `.keras` file"):
        keras_qa.load("minilm-squad")
    message = r"There is no file `none`, and no preset of that name\. .*minilm-squad"
    with pytest.raises(FileNotFoundError, match=message):
        keras_qa.load("none")


def test_models_with_their_preprocessors_and_full_names(monkeypatch) -> None:
    answerer = QuestionAnswerer.from_preset("babi")
    opened = open_model("babi")
    assert (opened.is_trained, opened.name) == (True, "babi")
    weights = opened.model.get_weights()
    for one, other in zip(answerer.model_.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert type(opened.model.preprocessor) is WordPreprocessor
    monkeypatch.chdir(GOLDEN)
    for name in ("reader.keras", "exported/reader"):
        opened = open_model(name)
        assert opened.name == str(GOLDEN / name)
        assert type(opened.model.preprocessor) is SpanPreprocessor


def test_an_embedder_is_no_reader() -> None:
    with pytest.raises(ValueError, match=r"`keras_qa.load\('minilm-embed'\)` returns an embedder"):
        open_model("minilm-embed")


@pytest.mark.parametrize("name", ["babi", str(GOLDEN / "reader.keras"), "exported/reader"])
def test_only_adapters_have_a_backbone(name: str, monkeypatch) -> None:
    monkeypatch.chdir(GOLDEN)
    message = "^`backbone` is the encoder of a file that `save_adapter` wrote, but "
    with pytest.raises(ValueError, match=message) as raised:
        open_model(name, backbone="minilm")
    assert str(raised.value).endswith("is not such a file. Leave `backbone` out.")


def test_names_in_files_refer_to_this_machine() -> None:
    exported = str(GOLDEN / "exported" / "embedder")
    assert is_exported_here(exported)
    local = {
        exported: True,
        "exported/embedder": False,
        "minilm": True,
        str(GOLDEN): True,
        "none": False,
        "hf://owner/name": False,
        "//host/folder": False,
        "\\\\host\\folder": False,
    }
    assert {name: is_local(name) for name in local} == local


def test_a_name_without_a_model_gets_the_nearest(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    pathlib.Path("qa.keras").touch()
    check_names("minilm", "minilm-embed", "hf://a/b", "qa.keras", "none", None)
    with pytest.raises(FileNotFoundError, match=r"presets: .*The nearest name is `minilm-squad`\."):
        check_names("minilm", "minilm-sqaud")
    with pytest.raises(FileNotFoundError, match=r"minilm-verify\.$"):
        check_names("reader")
