"""The cards of the presets: those that the script makes, in the format that the Hub reads."""

import json
import pathlib
import runpy
import shutil
import types

import pytest
from huggingface_hub import ModelCard

import keras_qa

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "model_cards.py"
model_cards = types.SimpleNamespace(**runpy.run_path(str(SCRIPT)))


@pytest.mark.parametrize("name", keras_qa.presets())
def test_the_cards_are_those_of_the_script_and_the_hub_reads_them(name: str) -> None:
    path = model_cards.CARDS / f"{name}.md"
    assert path.read_text("utf-8") == str(model_cards.card(name))
    data = ModelCard.load(path).data
    assert (data.license, data.library_name, data.language) == ("apache-2.0", "keras", "en")
    assert data.pipeline_tag
    assert (data.eval_results is None) == (name == "minilm-verify")
    assert "](" not in path.read_text("utf-8")


def test_there_is_a_card_for_each_preset() -> None:
    cards = sorted(path.stem for path in model_cards.CARDS.iterdir())
    assert cards == sorted(keras_qa.presets())


def test_scores_are_those_of_the_results(tmp_path, monkeypatch) -> None:
    shutil.copytree(model_cards.RESULTS, tmp_path, dirs_exist_ok=True)
    monkeypatch.setitem(model_cards.card.__globals__, "RESULTS", tmp_path)
    records = json.loads((tmp_path / "presets.json").read_text("utf-8"))
    last = [record for record in records if record["preset"] == "minilm-squad"][-1]
    last["always"]["reading/valid.json"].update(exact_match=12.344, f1=67.891)
    (tmp_path / "presets.json").write_text(json.dumps(records), "utf-8")
    found = model_cards.card("minilm-squad").data.eval_results
    scores = [(one.dataset_type, one.metric_type, one.metric_value) for one in found]
    squad = last["always"]["squad_small/valid.json"]
    assert scores == [
        ("facebook/mlqa", "exact_match", 12.34),
        ("facebook/mlqa", "f1", 67.89),
        ("rajpurkar/squad", "exact_match", round(squad["exact_match"], 2)),
        ("rajpurkar/squad", "f1", round(squad["f1"], 2)),
        ("rajpurkar/squad_v2", "exact_match", round(last["mixed"]["exact_match"], 2)),
        ("rajpurkar/squad_v2", "f1", round(last["mixed"]["f1"], 2)),
    ]
