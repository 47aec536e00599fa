"""Low-rank adaptation of published encoders, and what it has learned in a file of its own."""

import io
import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
from command_line import error_line
from safetensors.numpy import load_file, save_file
from small_checkpoints import copy
from small_models import same_weights

import keras_qa
from keras_qa import Example
from keras_qa.answering import TextEmbedder
from keras_qa.cli import main
from keras_qa.layers import TransformerEncoder
from keras_qa.preprocessing import SpanDecoder

TEXT = "Mary went to the bathroom, then she slept at home."
EXAMPLES = [Example(TEXT, "Who went?", "Mary", 0), Example(TEXT, "Where?", "home", 45)]
OTHER = Example("John went where he was.", "Who was he then?", "John", 0)


def encoder_of(qa) -> TransformerEncoder:
    return next(layer for layer in qa.model_.layers if isinstance(layer, TransformerEncoder))


@pytest.fixture
def folder(tmp_path):
    return copy("bert", tmp_path / "reader")


def trained(folder) -> keras_qa.QuestionAnswerer:
    qa = keras_qa.load(folder)
    return qa.fit(EXAMPLES, epochs=3, verbose=0, optimizer=keras.optimizers.Adam(0.05), lora_rank=2)


def scores(qa) -> list[float]:
    return [answer.score for answer in qa.answer(TEXT, "Who slept?", top_k=20)]


def test_nothing_changes_until_it_is_trained(folder) -> None:
    qa = keras_qa.load(folder)
    before = scores(qa)
    encoder_of(qa).enable_lora(2)
    np.testing.assert_allclose(scores(qa), before, rtol=1e-5)
    with pytest.raises(ValueError, match="has LoRA of rank 2 already"):
        encoder_of(qa).enable_lora(4)


def test_a_rank_beyond_the_width_changes_nothing(folder) -> None:
    qa = keras_qa.load(folder)
    preprocessor, before = qa.model_.preprocessor, qa.model_.get_weights()
    preprocessor.decoder = SpanDecoder(no_answer=True, no_answer_weights=(1.0, 0.5, 2.0))
    width, decoder = encoder_of(qa).hidden_dim, preprocessor.decoder
    for rank in (width + 1, 10**9):
        message = f"^`lora_rank` must be a positive integer, at most {width}. .*lora_rank={rank}"
        with pytest.raises(ValueError, match=message):
            qa.fit(EXAMPLES, epochs=1, verbose=0, lora_rank=rank)
        with pytest.raises(ValueError, match=f"^`rank` must be .*, at most {width}. .*={rank}"):
            encoder_of(qa).enable_lora(rank)
    assert same_weights(qa.model_, before)
    assert encoder_of(qa).lora_rank is None
    assert preprocessor.decoder == decoder
    encoder_of(qa).enable_lora(width)


def test_only_narrow_matrices_biases_and_the_head_are_trained(folder) -> None:
    qa = trained(folder)
    assert scores(qa) != scores(keras_qa.load(folder))
    encoder = encoder_of(qa)
    kinds = {variable.path.split("/")[-1] for variable in encoder.trainable_variables}
    assert kinds == {"lora_kernel_a", "lora_kernel_b", "bias"}
    published = load_file(folder / "model.safetensors")
    tables = {
        "bert.embeddings.word_embeddings.weight": encoder.tokens.embeddings,
        "bert.encoder.layer.1.output.LayerNorm.bias": encoder.blocks[1].output_norm.beta,
    }
    for name, variable in tables.items():
        np.testing.assert_array_equal(variable.numpy(), published[name])
    # All that is trained has changed.
    qa.fit(EXAMPLES, epochs=1, verbose=0, lora_rank=2)
    assert encoder_of(qa).lora_rank == 2


def test_both_files_answer_as_before(folder, tmp_path) -> None:
    qa = trained(folder)
    expected = scores(qa)
    qa.save(tmp_path / "whole.keras")
    qa.save_adapter(tmp_path / "adapter.keras")
    for name in ("whole.keras", "adapter.keras"):
        loaded = keras_qa.load(tmp_path / name)
        np.testing.assert_allclose(scores(loaded), expected, rtol=1e-5)
        assert encoder_of(loaded).lora_rank == (2 if name == "whole.keras" else None)
        loaded.fit(EXAMPLES, epochs=1, verbose=0)
    # What was added is part of the product where the folder is written.
    qa.save_pretrained(tmp_path / "again")
    np.testing.assert_allclose(scores(keras_qa.load(tmp_path / "again")), expected, rtol=1e-3)


def test_an_adapter_belongs_to_one_encoder(folder, tmp_path) -> None:
    trained(folder).save_adapter(tmp_path / "adapter.keras")
    tensors = dict(load_file(folder / "model.safetensors"))
    tensors["bert.embeddings.word_embeddings.weight"] += 0.01
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match="was trained on an encoder with other weights than"):
        keras_qa.load(tmp_path / "adapter.keras")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="needs the encoder .*has no weights"):
        keras_qa.load(tmp_path / "adapter.keras")


def test_a_file_holds_no_path_and_its_encoder_can_be_named(folder, tmp_path) -> None:
    qa = trained(folder)
    expected = scores(qa)
    (tmp_path / "files").mkdir()
    path = tmp_path / "files" / "adapter.keras"
    qa.save_adapter(path)
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("config.json"))["backbone"] == "reader"
    assert str(tmp_path).encode() not in path.read_bytes()
    with pytest.raises(
        ValueError, match=r"needs the encoder `reader`.*`keras_qa.load\(…, backbone="
    ) as raised:
        keras_qa.load(path)
    assert_one_line(raised)
    moved = folder.rename(tmp_path / "moved")
    for backbone in (moved, str(moved)):
        loaded = keras_qa.load(path, backbone=backbone)
        np.testing.assert_allclose(scores(loaded), expected, rtol=1e-5)
    # A reader on an encoder from elsewhere is saved as well.
    other = trained(moved)
    other.save_adapter(tmp_path / "again.keras")
    moved.rename(tmp_path / "moved again")
    again = keras_qa.load(tmp_path / "again.keras", backbone=tmp_path / "moved again")
    np.testing.assert_allclose(scores(again), scores(other), rtol=1e-5)


def assert_one_line(raised) -> None:
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) <= 300


def fully_trained(folder, tmp_path) -> keras_qa.QuestionAnswerer:
    qa = keras_qa.load(folder).fit(EXAMPLES, epochs=1, verbose=0)
    return qa.fit(EXAMPLES, epochs=1, verbose=0, lora_rank=2)


def quantized(folder, tmp_path) -> keras_qa.QuestionAnswerer:
    qa = trained(folder)
    # All of the model at once takes Keras ten seconds.
    encoder_of(qa).blocks[1].hidden.quantize("int8")
    return qa


def scaled(folder, tmp_path) -> keras_qa.QuestionAnswerer:
    qa = keras_qa.load(folder)
    encoder_of(qa).enable_lora(2, lora_alpha=4)
    return qa.fit(EXAMPLES, epochs=1, verbose=0, optimizer="adam")


def without_encoder(folder, tmp_path) -> keras_qa.QuestionAnswerer:
    qa = trained(folder)
    (folder / "model.safetensors").unlink()
    return qa


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (fully_trained, "needs the encoder .* without changes except LoRA"),
        (quantized, "needs the encoder .* without changes except LoRA"),
        (scaled, "needs the encoder .* without changes except LoRA"),
        (without_encoder, "which cannot be opened: .* has no weights"),
    ],
)
def test_what_an_adapter_would_not_rebuild_is_refused(make, message, folder, tmp_path) -> None:
    qa = make(folder, tmp_path)
    before = qa.model_.get_weights()
    with pytest.raises(ValueError, match=f"{message}.*Save the whole model with `save`") as raised:
        qa.save_adapter(tmp_path / "adapter.keras")
    assert_one_line(raised)
    assert not (tmp_path / "adapter.keras").exists()
    for one, other in zip(before, qa.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # What the message says to do.
    qa.save(tmp_path / "whole.keras")
    whole = keras_qa.load(tmp_path / "whole.keras", compile=False)
    # Keras rounds int8 kernels anew when it merges LoRA.
    np.testing.assert_allclose(scores(whole), scores(qa), rtol=0.1 if make is quantized else 1e-4)


def test_a_reader_with_its_own_tokenizer_is_rebuilt(folder, tmp_path) -> None:
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    options = {"backbone": str(folder), "tokenizer": tmp_path / "tokenizer.json"}
    qa = keras_qa.QuestionAnswerer("span_reader", options)
    qa.fit(EXAMPLES, epochs=1, verbose=0, optimizer=keras.optimizers.Adam(0.05), lora_rank=2)
    qa.save_adapter(tmp_path / "adapter.keras")
    loaded = keras_qa.load(tmp_path / "adapter.keras")
    np.testing.assert_allclose(scores(loaded), scores(qa), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "mixed_bfloat16"])
def test_a_half_precision_dtype_rounds_merged_kernels_once(dtype: str, folder, tmp_path) -> None:
    qa = keras_qa.QuestionAnswerer("span_reader", {"backbone": str(folder), "dtype": dtype})
    qa.fit(EXAMPLES, epochs=1, verbose=0, lora_rank=2)
    draw = np.random.default_rng(0).normal
    for layer in encoder_of(qa).lora_layers:
        layer.lora_kernel_b.assign(draw(scale=0.02, size=layer.lora_kernel_b.shape))
    qa.save_adapter(tmp_path / "adapter.keras")
    loaded = keras_qa.load(tmp_path / "adapter.keras")
    assert encoder_of(loaded).dtype_policy.name == dtype
    np.testing.assert_allclose(scores(loaded), scores(qa), rtol=0.05)
    layers = [encoder_of(reader).lora_layers for reader in (keras_qa.load(folder), qa, loaded)]
    for published, trained, merged in zip(*layers, strict=True):
        product = trained.lora_kernel_a.numpy() @ trained.lora_kernel_b.numpy()
        expected = keras.ops.cast(published.kernel.numpy() + product, merged.kernel.dtype)
        assert keras.ops.all(merged.kernel.value == expected)


def test_lora_starts_again_from_a_loaded_adapter(folder, tmp_path) -> None:
    trained(folder).save_adapter(tmp_path / "adapter.keras")
    qa = keras_qa.load(tmp_path / "adapter.keras")
    before, weights = scores(qa), qa.model_.get_weights()
    with pytest.raises(
        ValueError, match=r"merges LoRA into the .*`fit\(…, lora_rank=16\)`"
    ) as raised:
        qa.save_adapter(tmp_path / "other.keras")
    assert_one_line(raised)
    for one, other in zip(weights, qa.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    qa.fit(EXAMPLES, epochs=0, verbose=0, lora_rank=3)
    assert scores(qa) == pytest.approx(before, rel=1e-6)
    qa.fit(EXAMPLES, epochs=1, verbose=0, optimizer=keras.optimizers.Adam(0.05), lora_rank=3)
    assert scores(qa) != pytest.approx(before, rel=1e-3)
    qa.save(tmp_path / "whole.keras")
    np.testing.assert_allclose(
        scores(keras_qa.load(tmp_path / "whole.keras")), scores(qa), rtol=1e-5
    )
    with pytest.raises(
        ValueError, match="loaded from a `.keras` file, which merges LoRA"
    ) as raised:
        qa.save_adapter(tmp_path / "other.keras")
    assert_one_line(raised)
    assert not (tmp_path / "other.keras").exists()


def test_all_weights_of_a_loaded_adapter_are_trained(folder, tmp_path) -> None:
    trained(folder).save_adapter(tmp_path / "adapter.keras")
    qa = keras_qa.load(tmp_path / "adapter.keras")
    encoder = encoder_of(qa)
    kernels = [layer.kernel for layer in encoder.lora_layers]
    before = [kernel.numpy() for kernel in [*kernels, encoder.tokens.embeddings]]
    qa.fit(EXAMPLES, epochs=1, verbose=0)
    for one, other in zip([*kernels, encoder.tokens.embeddings], before, strict=True):
        assert np.any(one.numpy() != other)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_a_loaded_adapter_is_a_reader_like_any_other(folder, tmp_path) -> None:
    qa = trained(folder)
    qa.save(tmp_path / "whole.keras")
    qa.save_adapter(tmp_path / "adapter.keras")
    expected = scores(qa)
    loaded = keras_qa.load(tmp_path / "adapter.keras")
    asked = loaded.read(TEXT).ask("Who slept?", top_k=20)
    np.testing.assert_allclose([answer.score for answer in asked], expected, rtol=1e-5)
    embedders = [TextEmbedder(tmp_path / f"{name}.keras") for name in ("whole", "adapter")]
    np.testing.assert_allclose(*(embed([TEXT]) for embed in embedders), atol=1e-5)
    loaded.save_pretrained(tmp_path / "again")
    np.testing.assert_allclose(scores(keras_qa.load(tmp_path / "again")), expected, rtol=1e-5)
    loaded.model_.quantize("int8")
    np.testing.assert_allclose(scores(loaded), expected, rtol=0.2)


def test_backbone_is_for_adapters(folder, tmp_path) -> None:
    trained(folder).save(tmp_path / "whole.keras")
    for path in (tmp_path / "whole.keras", folder, "hf://owner/name"):
        with pytest.raises(ValueError, match="`backbone` is the encoder of a file.*Leave"):
            keras_qa.load(path, backbone=folder)
    trained(folder).save_adapter(tmp_path / "adapter.keras")
    with pytest.raises(TypeError, match="`backbone` must be the name or the folder .*: 3 "):
        keras_qa.load(tmp_path / "adapter.keras", backbone=3)


def rewrite(path, settings=None, weights=None, **options) -> None:
    """Changes settings of an adapter file, or its arrays."""
    with zipfile.ZipFile(path) as archive:
        config = {**json.loads(archive.read("config.json")), **(settings or {})}
        weights = archive.read("adapter.npz") if weights is None else weights
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr(
            "config.json", json.dumps({k: v for k, v in config.items() if v is not None})
        )
        archive.writestr("adapter.npz", weights)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """An adapter file beside its encoder, and the settings in it."""
    folder = tmp_path_factory.mktemp("adapter")
    trained(copy("bert", folder / "reader")).save_adapter(folder / "adapter.keras")
    with zipfile.ZipFile(folder / "adapter.keras") as archive:
        return folder / "adapter.keras", json.loads(archive.read("config.json"))


@pytest.fixture
def damaged(adapter, tmp_path):
    """A copy of the file to change."""
    (tmp_path / "reader").symlink_to(adapter[0].parent / "reader")
    return shutil.copy(adapter[0], tmp_path / "adapter.keras")


def archive_of(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", members.pop("compression", zipfile.ZIP_STORED)) as archive:
        for name, value in members.items():
            archive.writestr(f"{name}.npy", value)
    return content.getvalue()


def patched(content: bytes) -> bytes:
    """The same with a flag in its directory that no reader of Python knows."""
    flags = content.index(b"PK\x01\x02") + 8
    return content[:flags] + b"\x20" + content[flags + 1 :]


def array(shape: str, dtype: str = "<f4", values: bytes = b"") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keras_qa_adapter": 4}, "adapter of version 4, and this keras-qa reads version 1"),
        ({"keras_qa_adapter": None}, "adapter of version None"),
        ({"backbone": "x" * 5_000}, "needs the encoder `x{40}`, which is not at `x{36}`"),
        ({"backbone": 3}, "`backbone` must be a string. Received: 3."),
        ({"lora_rank": None}, "`lora_rank` must be a positive integer. Received: lora_rank=None."),
        ({"lora_rank": 0}, "`lora_rank` must be a positive integer. Received: lora_rank=0."),
        ({"lora_rank": 3}, "`lora_rank` is 3, but it has .* weights, too few"),
        ({"lora_rank": 1}, "trained on an encoder with other weights"),
        ({"dtype": "int8_from_float32"}, "`dtype` must be one of 'float32'"),
        ({"dtype": {"class_name": "DTypePolicy", "config": 1}}, "`dtype` must be one of 'float32'"),
        ({"preprocessor": None}, "`preprocessor` must be an object. Received: "),
        ({"preprocessor": {"name": "songs"}}, "`preprocessor` cannot be read: .*'songs'"),
        ({"preprocessor": {"name": "spans", "vectorizer": 1}}, "`preprocessor` cannot be read"),
        (b"no archive", "zip file"),
        (archive_of(), "too few"),
        (patched(archive_of(**{"0": b""})), "compressed patched data"),
        (archive_of(a=b""), "There is no item named '0.npy'"),
        (archive_of(**{"0": b""}), "array 0 is not an array of floats"),
        (archive_of(**{"0": array("(3,)", "|O", b"\x80\x04N.")}), "is not an array of floats"),
        (archive_of(**{"0": array("(1000000000000,)")}), r"has the shape \(1000000000000,\)"),
        (archive_of(**{"0": array("(2,)", values=bytes(4))}), "but another number of values"),
        (archive_of(**{"0": array("(-1,)", values=bytes(4))}), "is not an array of floats"),
        (archive_of(**{"0": array("(2,)", "|i1", b"\1\2")}), "followed by a scale for each row"),
        (
            archive_of(**{"0": array("(2,)", "|i1", b"\1\2"), "1": array("(1,)", "<f2", b"\1\2")}),
            "followed by a scale for each row",
        ),
        (archive_of(compression=zipfile.ZIP_DEFLATED, **{"0": bytes(10**6)}), "are compressed"),
    ],
)
def test_odd_settings_and_arrays_are_named_in_one_line(change, message: str, damaged) -> None:
    rewrite(damaged, **{"settings" if isinstance(change, dict) else "weights": change})
    with pytest.raises(ValueError, match=f"adapter.keras` cannot be loaded: .*{message}") as raised:
        keras_qa.load(damaged)
    assert_one_line(raised)


def test_rows_of_int8_have_scales(adapter, damaged) -> None:
    with zipfile.ZipFile(damaged) as archive:
        content = io.BytesIO(archive.read("adapter.npz"))
    with np.load(content) as arrays:
        values = [arrays[str(place)] for place in range(len(arrays.files))]
    parts, rounded = [], []
    for value in values:
        scales = np.linspace(0.5, 1.5, len(value), dtype="float16").reshape(-1, 1)
        is_matrix = value.ndim == 2
        whole = np.rint(value * 100).clip(-128, 127).astype("int8") if is_matrix else value
        parts += [whole, scales] if is_matrix else [whole]
        rounded.append(whole * scales.astype("float32") if is_matrix else whole)
    for arrays in (parts, rounded):
        content = io.BytesIO()
        np.savez(content, **{str(place): array for place, array in enumerate(arrays)})
        rewrite(damaged, weights=content.getvalue())
        loaded = keras_qa.load(damaged)
        if arrays is parts:
            weights = loaded.model_.get_weights()
    assert any(part.dtype == np.int8 for part in parts)
    for one, other in zip(loaded.model_.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_that_are_not_finite_are_refused(damaged) -> None:
    with zipfile.ZipFile(damaged) as archive, np.load(archive.open("adapter.npz")) as arrays:
        values = dict(arrays)
    values["0"] = np.full_like(values["0"], np.inf)
    content = io.BytesIO()
    np.savez(content, **values)
    rewrite(damaged, weights=content.getvalue())
    with pytest.raises(ValueError, match="the weight `.*bias` has NaN or infinity") as raised:
        keras_qa.load(damaged)
    assert_one_line(raised)


def test_a_window_longer_than_the_encoder_reads_is_refused(adapter, damaged) -> None:
    vectorizer = {**adapter[1]["preprocessor"]["vectorizer"], "max_length": 10**9}
    rewrite(damaged, {"preprocessor": {**adapter[1]["preprocessor"], "vectorizer": vectorizer}})
    with pytest.raises(ValueError, match="`max_length` is 1000000000, but .* reads at most 64"):
        keras_qa.load(damaged)


def test_compressed_weights_are_refused(damaged) -> None:
    rewrite(damaged, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="are compressed, but `save_adapter` does not"):
        keras_qa.load(damaged)
    # A member that cannot be decompressed.
    content = bytearray(damaged.read_bytes())
    with zipfile.ZipFile(damaged) as archive:
        start = archive.getinfo("adapter.npz").header_offset + 30 + len("adapter.npz")
    content[start : start + 4] = b"\xff\xff\xff\xff"
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match="damaged or truncated") as raised:
        keras_qa.load(damaged)
    assert_one_line(raised)


def test_what_has_no_adapter_says_so(folder, tmp_path) -> None:
    qa = keras_qa.load(folder)
    with pytest.raises(ValueError, match="Only models on a published encoder that were trained"):
        qa.save_adapter(tmp_path / "adapter.keras")
    with pytest.raises(ValueError, match="`path` must end in `.keras`"):
        qa.save_adapter(tmp_path / "adapter.bin")
    scratch = keras_qa.QuestionAnswerer("span_reader", model_options={"units": 4})
    with pytest.raises(ValueError, match="`lora_rank` is for readers on a published encoder"):
        scratch.fit(EXAMPLES, epochs=1, verbose=0, lora_rank=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reader"]


def test_the_command_trains_by_lora(folder, tmp_path, capsys) -> None:
    rows = [
        {"text": item.text, "question": item.question, "answers": item.answers, "answer_start": [s]}
        for item in [EXAMPLES[0], OTHER]
        for s in item.answer_start
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    arguments = ["train", f"--data={data}", "--model=span_reader", f"--backbone={folder}"]
    arguments += ["--lora-rank=2", "--epochs=1", "--batch-size=2"]
    arguments += [f"--output={tmp_path / 'qa.keras'}"]
    arguments += [f"--adapter={tmp_path / 'adapter.keras'}", "--unanswerable=1"]
    assert main(arguments) == 0
    assert "4 questions to train on" in capsys.readouterr().out
    whole, adapter = (keras_qa.load(tmp_path / f"{name}.keras") for name in ("qa", "adapter"))
    assert (encoder_of(whole).lora_rank, encoder_of(adapter).lora_rank) == (2, None)
    np.testing.assert_allclose(scores(adapter), scores(whole), rtol=1e-5)
    size = (tmp_path / "adapter.keras").stat().st_size
    assert size < (tmp_path / "qa.keras").stat().st_size / 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--adapter=a.keras"], "`--adapter` needs `--lora-rank`"),
        (["--adapter=a.bin", "--lora-rank=2"], "--adapter: must end in .keras. Received: 'a.bin'"),
        (
            ["--adapter=/none/a.keras", "--lora-rank=2"],
            "--adapter: must be a file in an existing folder",
        ),
        (["--unanswerable=2"], "--unanswerable: must be a number from 0 to 1"),
        (["--unanswerable=1", "--model=answer_classifier"], "`--unanswerable` is for --model span"),
    ],
)
def test_the_command_refuses(arguments, message: str, tmp_path, capsys) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "A b.", "question": "C?", "answers": ["b"], "answer_start": [2]}\n')
    given = ["train", f"--data={data}", "--model=span_reader", f"--output={tmp_path / 'qa.keras'}"]
    assert message in error_line(capsys, *given, *arguments)
