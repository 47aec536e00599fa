"""Files are replaced at once; damaged and dangerous saved files raise an error of one line."""

import io
import json
import os
import pathlib
import random
import tempfile
import tracemalloc
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest
from small_examples import EXAMPLES
from small_models import batch, same_weights

import keras_qa
from keras_qa.data.files import replace_atomically
from keras_qa.models.model_files import load_model
from keras_qa.text import WordTokenizer


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "qa.keras"
    options = {"text_embedding_dim": 2, "text_units": 2}
    answerer = keras_qa.QuestionAnswerer(model_options=options, seed=0)
    answerer.fit(EXAMPLES, epochs=1, verbose=0).save(path, keep_optimizer=True)
    return path.read_bytes()


@pytest.fixture
def path(saved: bytes, tmp_path) -> pathlib.Path:
    path = tmp_path / "qa.keras"
    path.write_bytes(saved)
    return path


def refused(path, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        keras_qa.load(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


def refused_after(saved: bytes, path, change, message: str) -> None:
    """Writes the archive anew with its config changed in place, and loads it."""
    with zipfile.ZipFile(io.BytesIO(saved)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                change(config["config"])
                data = json.dumps(config).encode()
            new.writestr(name, data)
    refused(path, message)


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> pathlib.Path:
    """The folder of temporary files, which a failed load must leave empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "assets/vocabulary.txt"])
def test_members_that_unpack_to_more_raise_before_they_are_read(saved, path, name, temporary):
    size = 100_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other in ("model.weights.h5", "a", "b"):
            archive.writestr(other, b"")
        with archive.open(name, "w") as file:
            for _ in range(100):
                file.write(bytes(size // 100))
    tracemalloc.start()
    try:
        refused(path, "unpacks to 100,000,000 bytes, as no model of keras-qa does. Save the")
        assert tracemalloc.get_traced_memory()[1] < size // 10
    finally:
        tracemalloc.stop()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", ["assets/" + "x" * 300, "../escaped", "config.json"])
def test_other_members_raise_and_leave_no_folder(path, name, temporary) -> None:
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a second member of one name
        archive.writestr(name, b"{}")
    refused(path, f"contains '{name[:40]}")
    assert list(temporary.iterdir()) == []


def test_a_later_version_of_zip_raises(saved: bytes, path) -> None:
    with zipfile.ZipFile(path) as archive:
        place = archive.start_dir + 6
    path.write_bytes(saved[:place] + b"\x4b" + saved[place + 1 :])
    refused(path, DAMAGED)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_weights_that_are_not_finite_raise(saved: bytes, path, value) -> None:
    with zipfile.ZipFile(io.BytesIO(saved)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    content = io.BytesIO(members["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        datasets = []
        file.visititems(lambda name, item: datasets.append(item) if "layers" in name else None)
        matrices = (item for item in datasets if len(getattr(item, "shape", ())) == 2)
        kernel = next(matrices)
        kernel[0, 1] = value
    with zipfile.ZipFile(path, "w") as new:
        for name, member in (members | {"model.weights.h5": content.getvalue()}).items():
            new.writestr(name, member)
    refused(path, r"qa.keras`: the weight `.*/.*` has NaN or infinity\. Get the file again")


def test_without_its_optimizer_it_answers_and_does_not_train(path) -> None:
    # Keras itself loads the file, too.
    assert keras.saving.load_model(path).count_params() > 0
    whole, bare = keras_qa.load(path), keras_qa.load(path, compile=False)
    assert whole.evaluate(EXAMPLES)["examples"] == 9
    assert whole.model_.optimizer.iterations > 0
    assert not bare.model_.compiled
    texts, asked = ([getattr(item, name) for item in EXAMPLES] for name in ("text", "question"))
    assert bare.answer(texts, asked) == whole.answer(texts, asked)
    before = bare.model_.get_weights()
    with pytest.raises(ValueError, match="You must call `compile\\(\\)`"):
        bare.fit(EXAMPLES, epochs=1, verbose=0)
    assert same_weights(bare.model_, before)


DAMAGED = "is not a `.keras` file, or it is damaged or truncated"


@pytest.mark.parametrize("content", [0.0, 0.1, 0.5, 0.999, b"not a zip", b"PK\x03\x04" + bytes(99)])
def test_a_truncated_file_and_no_zip_file_raise(saved: bytes, tmp_path, content) -> None:
    path = tmp_path / "qa.keras"
    with pytest.raises(FileNotFoundError, match="There is no file `.*qa.keras`"):
        keras_qa.load(path)
    cut = isinstance(content, float)
    path.write_bytes(saved[: int(len(saved) * content)] if cut else content)
    refused(path, DAMAGED)


def zipped(name: str, content: str) -> bytearray:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return bytearray(file.getvalue())


def test_other_zip_files_raise(tmp_path) -> None:
    path = tmp_path / "qa.keras"
    bad = zipped("config.json", json.dumps({"layers": ["x"] * 99}))
    # The first byte of the stream contains the type of the block. Type 3 does not exist.
    bad[30 + len("config.json")] |= 6
    for content, message in (
        (zipped("readme.txt", "hello"), "is a zip file, but not a `.keras` file"),
        (zipped("config.json", "[" * 100_000), DAMAGED),
        (bad, DAMAGED),
    ):
        path.write_bytes(content)
        refused(path, message)


def test_a_flipped_bit_raises_or_changes_no_weight(saved: bytes, path) -> None:
    expected = keras_qa.load(path).model_
    with zipfile.ZipFile(path) as archive:
        directory = archive.start_dir
    raised = 0
    for seed in range(100):
        rng = random.Random(seed)
        # Half of the bits are in the directory at the end, which has no checksum.
        flipped = bytearray(saved)
        flipped[rng.randrange(directory * (seed % 2), len(saved))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        try:
            loaded = keras_qa.load(path).model_
        except ValueError as error:
            message = str(error)
            assert message.startswith(f"`{path}` "), (seed, message)
            assert len(message.splitlines()) == 1, (seed, message)
            assert len(message) <= 300, (seed, message)
            raised += 1
        else:
            assert same_weights(loaded, expected.get_weights()), seed
            assert loaded.get_config() == expected.get_config(), seed
    assert raised > 50


def test_a_member_missing_from_the_directory_raises(saved: bytes, path) -> None:
    with zipfile.ZipFile(path) as archive:
        # The directory entry of `config.json` claims a comment, which hides the weights behind it.
        place = archive.start_dir + 46 + len("metadata.json") + 33
    flipped = bytearray(saved)
    flipped[place] |= 1
    path.write_bytes(flipped)
    refused(path, "bytes of weights. Save|cannot be loaded: ")


def test_a_lambda_layer_raises_and_is_not_executed(tmp_path) -> None:
    marker = tmp_path / "executed"
    inputs = keras.Input((2,))
    # The default binds the path, so that the lambda could run by itself.
    outputs = keras.layers.Lambda(
        lambda x, path=str(marker): (open(path, "w").close(), x)[1],
        output_shape=(2,),
    )(inputs)
    model = keras.Model(inputs, outputs)
    marker.unlink(missing_ok=True)
    model.save(tmp_path / "lambda.keras")
    refused(tmp_path / "lambda.keras", "contains a `Lambda`, which can execute any code")
    assert not marker.exists()


def test_a_function_of_another_module_is_not_called(saved: bytes, tmp_path) -> None:
    marker = tmp_path / "executed"

    def call_system(model):
        model["layers"][2] = {
            "module": "os",
            "class_name": "system",
            "config": {"command": f"touch {marker}"},
            "registered_name": "system",
            "name": "x",
            "inbound_nodes": [],
        }

    refused_after(saved, tmp_path / "system.keras", call_system, "cannot be loaded: ")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": [{"class_name": "Lambda", "config": {}}]}, "contains a `Lambda`"),
        ({"extra": [{"class_name": "__lambda__", "config": {}}]}, "contains a `Lambda`"),
        (
            {"vocabulary_size": 10**12},
            "has `vocabulary_size=1000000000000` in its config, but only",
        ),
        # Each is smaller than the weights; the matrix would take 20 GB.
        (
            {"vocabulary_size": 70_000, "embedding_dim": 70_000},
            r"cannot be loaded: its layers have more than [\d,]+ numbers, which is more than",
        ),
    ],
)
def test_an_invalid_layer_raises_before_allocation(saved: bytes, tmp_path, change, message) -> None:
    def apply(model):
        model["layers"][2]["config"] |= change

    refused_after(saved, tmp_path / "odd.keras", apply, message)


def test_layers_that_do_not_fit_raise(saved: bytes, tmp_path) -> None:
    def add_an_input(model) -> None:
        kinds = [layer["class_name"] for layer in model["layers"]]
        inputs = model["layers"][kinds.index("Concatenate")]["inbound_nodes"][0]["args"][0]
        inputs.append(inputs[-1])

    refused_after(saved, tmp_path / "odd.keras", add_an_input, "loaded: .* save the model again")


def test_a_model_without_a_vocabulary_raises(kept_models, tmp_path) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    model.save(tmp_path / "model.keras")
    refused(tmp_path / "model.keras", "holds a model without a preprocessor")
    feed, _ = batch(3)
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(feed, verbose=0), model.predict(feed, verbose=0))


WITHOUT_UNKNOWN = json.dumps(
    json.loads(WordTokenizer.train(["a"]).to_json())
    | {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"}}
    | {"added_tokens": []}
)


def nested(depth: int):
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preprocessor": None}, "holds a model without a preprocessor, which cannot read strings"),
        ({"preprocessor": 3}, r"`preprocessor` must be an object\. Received: preprocessor=3\."),
        ({"preprocessor": {}}, r"cannot be loaded: `name` must be a string\. Received: none\."),
        ({"preprocessor": {"name": "words"}}, r"`vectorizer` must be an object\. Received: none\."),
        ({"answers": [1, 2]}, r"`answers` must be a list of strings. Received: answers=\[1, 2\]"),
        ({"answers": "no"}, "`answers` must be a list of strings. Received: answers='no'"),
        ({"answers": None}, "`answers` must be given with a `tokenizer`"),
        ({"vocabulary_size": 1e30}, "`vocabulary_size` must be an integer of at least 3"),
        ({"sentences": None}, "`sentences` must be `True` or `False`. Received: sentences=None"),
        ({"lines": 1}, "unexpected keyword argument 'lines'"),
        ({"tokenizer": 3}, "`tokenizer` must be a string. Received: 3"),
        ({"tokenizer": json.dumps(nested(900))}, "The tokenizer must be a JSON object"),
        (
            {"tokenizer": json.dumps({"normalizer": nested(900)})},
            "The tokenizer cannot be read: recursion limit exceeded",
        ),
        (
            {"tokenizer": WITHOUT_UNKNOWN},
            r"The tokenizer cannot be used: WordLevel error: Missing \[UNK\] token",
        ),
        ({"preprocessor": nested(300)}, "an invalid config: more than 200 objects and lists are "),
    ],
)
def test_an_invalid_preprocessor_raises(saved: bytes, tmp_path, change, message) -> None:
    def apply(model):
        home = model if "preprocessor" in change else model["preprocessor"]["vectorizer"]
        home |= change

    refused_after(saved, tmp_path / "odd.keras", apply, message)


def test_two_writers_of_one_path_have_partial_files_of_their_own(tmp_path) -> None:
    path = tmp_path / "qa.keras"
    with replace_atomically(path) as first:
        first.write_text("first")
        with replace_atomically(path) as second:
            assert first != second
            assert {first.suffix, second.suffix} == {".keras"}
            second.write_text("second")
        assert path.read_text() == "second"
        assert first.read_text() == "first"
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["qa.keras"]


def test_an_error_keeps_the_old_file_and_leaves_no_other(tmp_path) -> None:
    path = tmp_path / ("a" * 250)
    path.write_text("old")

    def write() -> None:
        with replace_atomically(path) as partial:
            partial.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]
