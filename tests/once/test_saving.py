"""Files: whole ones load, damaged and dangerous ones are refused in one line."""

import json
import re
import zipfile

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_examples import EXAMPLES
from small_models import batch, same_weights

import keras_qa
from keras_qa.models.model_files import load_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "qa.keras"
    options = {"text_embedding_dim": 2, "text_units": 2}
    answerer = keras_qa.QuestionAnswerer(model_options=options, seed=0)
    answerer.fit(EXAMPLES, epochs=1, verbose=0).save(path)
    return path.read_bytes()


def refused(path, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        keras_qa.load(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


def rewritten(saved: bytes, path, change):
    """Writes the archive anew with its config changed, and without its seal."""
    original = path.with_suffix(".zip")
    original.write_bytes(saved)
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                data = json.dumps(change(json.loads(data))).encode()
            new.writestr(name, data)
    return path


def test_sealed_file_is_a_plain_keras_file(saved: bytes, tmp_path) -> None:
    path = tmp_path / "qa.keras"
    path.write_bytes(saved)
    assert keras_qa.load(path).evaluate(EXAMPLES)["examples"] == 9
    assert keras.saving.load_model(path).count_params() > 0


def test_without_its_optimizer_it_answers_and_does_not_train(saved: bytes, tmp_path) -> None:
    path = tmp_path / "qa.keras"
    path.write_bytes(saved)
    whole, bare = keras_qa.load(path), keras_qa.load(path, compile=False)
    assert whole.model_.optimizer.iterations > 0
    assert not bare.model_.compiled
    texts, asked = ([getattr(item, name) for item in EXAMPLES] for name in ("text", "question"))
    assert bare.answer(texts, asked) == whole.answer(texts, asked)
    before = bare.model_.get_weights()
    with pytest.raises(ValueError, match="You must call `compile\\(\\)`"):
        bare.fit(EXAMPLES, epochs=1, verbose=0)
    assert same_weights(bare.model_, before)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(saved: bytes, tmp_path, share: float) -> None:
    path = tmp_path / "qa.keras"
    path.write_bytes(saved[: int(len(saved) * share)])
    refused(path, "is no `.keras` file, or it is damaged or cut short|is damaged")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_found(saved: bytes, tmp_path_factory, data) -> None:
    place = data.draw(st.integers(0, len(saved) - 1))
    flipped = bytearray(saved)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.getbasetemp() / "flipped.keras"
    path.write_bytes(bytes(flipped))
    refused(path, "is damaged|is no `.keras` file")


def test_flipped_bit_without_a_seal_is_found_by_the_archive(saved: bytes, tmp_path) -> None:
    path = rewritten(saved, tmp_path / "plain.keras", lambda config: config)
    assert keras_qa.load(path).evaluate(EXAMPLES)["examples"] == 9
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))
    refused(path, "is damaged: its checksum does not match")


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_zip_is_refused(tmp_path, content: bytes) -> None:
    path = tmp_path / "qa.keras"
    path.write_bytes(content)
    refused(path, "is no `.keras` file, or it is damaged or cut short")


def test_zip_of_something_else_is_refused(tmp_path) -> None:
    path = tmp_path / "qa.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path, "is a zip file, but no `.keras` file")


def test_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no file `.*none.keras`"):
        keras_qa.load(tmp_path / "none.keras")


def test_lambda_layer_is_refused_and_never_run(tmp_path) -> None:
    marker = tmp_path / "executed"
    inputs = keras.Input((2,))
    # The default binds the path as a constant, so the lambda holds all that it would need.
    outputs = keras.layers.Lambda(
        lambda x, path=str(marker): (open(path, "w").close(), x)[1],
        output_shape=(2,),
    )(inputs)
    model = keras.Model(inputs, outputs)
    marker.unlink(missing_ok=True)
    model.save(tmp_path / "lambda.keras")
    refused(tmp_path / "lambda.keras", "holds a `Lambda`, which can run any code")
    assert not marker.exists()


@pytest.mark.parametrize("name", ["Lambda", "__lambda__"])
def test_lambda_is_found_anywhere_in_the_config(saved: bytes, tmp_path, name: str) -> None:
    def hide(config):
        config["config"]["layers"][2]["config"]["extra"] = [{"class_name": name, "config": {}}]
        return config

    refused(rewritten(saved, tmp_path / "hidden.keras", hide), "holds a `Lambda`")


def test_function_of_another_module_is_never_called(saved: bytes, tmp_path) -> None:
    marker = tmp_path / "executed"

    def call_system(config):
        config["config"]["layers"][2] = {
            "module": "os",
            "class_name": "system",
            "config": {"command": f"touch {marker}"},
            "registered_name": "system",
            "name": "x",
            "inbound_nodes": [],
        }
        return config

    refused(rewritten(saved, tmp_path / "system.keras", call_system), "cannot be loaded: ")
    assert not marker.exists()


def test_model_without_a_vocabulary_is_named(kept_models, tmp_path) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    model.save(tmp_path / "model.keras")
    refused(tmp_path / "model.keras", "holds a model without a preprocessor")
    feed, _ = batch(3)
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(feed, verbose=0), model.predict(feed, verbose=0))


def test_saving_again_replaces_the_file(kept_models, tmp_path) -> None:
    path = tmp_path / "model.keras"
    for model in kept_models.values():
        model.save(path)
        assert load_model(path).loss == model.loss
    assert re.fullmatch(rb"keras-qa sha256:[0-9a-f]{64}", zipfile.ZipFile(path).comment)


def test_sizes_that_no_weight_has_are_refused_before_any_is_made(saved: bytes, tmp_path) -> None:
    def enlarge(config):
        config["config"]["layers"][2]["config"]["vocabulary_size"] = 10**12
        return config

    path = rewritten(saved, tmp_path / "large.keras", enlarge)
    refused(path, "says `vocabulary_size=1000000000000`, but holds")


def test_layers_with_more_numbers_than_the_weights_are_refused_before_any_is_made(
    saved: bytes, tmp_path
) -> None:
    def enlarge(config):
        # Both are below the size of the weights, but 20 GB together.
        config["config"]["layers"][2]["config"] |= {
            "vocabulary_size": 70_000,
            "embedding_dim": 70_000,
        }
        return config

    path = rewritten(saved, tmp_path / "large.keras", enlarge)
    refused(path, r"cannot be loaded: its layers have more than [\d,]+ numbers, which is more than")


def nested(depth: int):
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preprocessor": None}, "holds a model without a preprocessor, which cannot read strings"),
        (
            {"preprocessor": 3},
            r"cannot be loaded: `preprocessor` must be an object\. Received: preprocessor=3\.",
        ),
        ({"preprocessor": {}}, r"cannot be loaded: `name` must be a string\. Received: none\."),
        (
            {"preprocessor": {"name": ["words"]}},
            r"`name` must be a string\. Rec.*\['words'\]\.",
        ),
        ({"preprocessor": {"name": "words"}}, r"`vectorizer` must be an object\. Received: none\."),
        ({"preprocessor": {"name": "spans", "vectorizer": {}}}, "`tokenizer` must be an object"),
        ({"answers": [1, 2]}, "`answers` must be a list of strings. Received: 1 at position 0"),
        ({"answers": "no"}, "`answers` must be a list of strings. Received: answers='no'"),
        ({"answers": None}, "`answers` must be given with a `tokenizer`"),
        ({"vocabulary_size": 1e30}, "`vocabulary_size` must be an integer of at least 3"),
        ({"sentences": None}, "`sentences` must be `True` or `False`. Received: sentences=None"),
        ({"lines": 1}, "unexpected keyword argument 'lines'"),
        ({"tokenizer": 3}, "`tokenizer` must be a string. Received: 3"),
        ({"tokenizer": json.dumps(nested(900))}, "The tokenizer must be a JSON object"),
        ({"tokenizer": "[" * 100_000}, "The tokenizer is not JSON: .*recursion"),
        (
            {"tokenizer": json.dumps({"normalizer": nested(900)})},
            "The tokenizer cannot be read: recursion limit exceeded",
        ),
        (
            {"preprocessor": nested(300)},
            "in which more than 200 objects and lists are nested",
        ),
    ],
)
def test_a_made_up_preprocessor_raises_in_one_line(saved: bytes, tmp_path, change, message) -> None:
    def apply(config):
        home = config["config"]
        home = home if "preprocessor" in change else home["preprocessor"]["vectorizer"]
        home |= change
        return config

    refused(rewritten(saved, tmp_path / "odd.keras", apply), message)


def test_a_config_that_is_nested_too_deep_to_parse_is_refused(saved: bytes, tmp_path) -> None:
    path = tmp_path / "deep.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[" * 100_000)
    refused(path, "is no `.keras` file, or it is damaged or cut short")


def test_a_member_that_cannot_be_unpacked_is_refused(saved: bytes, tmp_path) -> None:
    path = tmp_path / "member.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps({"layers": ["x"] * 99}))
    data = bytearray(path.read_bytes())
    # The first byte of the stream, which says what kind of block follows: there is no kind 3.
    data[30 + len("config.json")] |= 6
    path.write_bytes(bytes(data))
    refused(path, "is no `.keras` file, or it is damaged or cut short")
