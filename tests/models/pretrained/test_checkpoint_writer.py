"""Folders in Hugging Face's layout: what is read, what is written, what is refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_checkpoints import FOLDER, KINDS, TOLERANCE, copy, differences

import keras_qa
from keras_qa import Example
from keras_qa.models import span_reader
from keras_qa.models.pretrained.checkpoint_writer import save_pretrained
from keras_qa.text import SubwordTokenizer

TEXT = "Mary went to the bathroom, then she slept at home."


def changed(folder, change) -> None:
    tensors = dict(load_file(folder / "model.safetensors"))
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


class TestReading:
    def test_a_part_of_the_weights_a_file_is_put_together(self, tmp_path) -> None:
        folder = copy("bert", tmp_path / "reader", tokenizer=False)
        tensors = load_file(folder / "model.safetensors")
        names = sorted(tensors)
        parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
        for file, some in parts.items():
            save_file({name: tensors[name] for name in some}, folder / file)
        index = {name: file for file, some in parts.items() for name in some}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
        (folder / "model.safetensors").unlink()
        assert max(differences(span_reader(backbone=folder), "bert")) < TOLERANCE

    def test_old_names_and_no_prefix_are_known(self, tmp_path) -> None:
        folder = copy("bert", tmp_path / "reader", tokenizer=False)

        def rename(tensors) -> None:
            for name in list(tensors):
                new = name.removeprefix("bert.")
                new = new.replace("LayerNorm.weight", "LayerNorm.gamma")
                tensors[new.replace("LayerNorm.bias", "LayerNorm.beta")] = tensors.pop(name)
            tensors["pooler.dense.weight"] = np.zeros((16, 16), "float32")
            tensors["cls.predictions.bias"] = np.zeros(200, "float32")

        changed(folder, rename)
        assert max(differences(span_reader(backbone=folder), "bert")) < TOLERANCE

    def test_half_precision_is_read_as_it_is(self, tmp_path) -> None:
        folder = copy("distilbert", tmp_path / "reader")
        raw = (folder / "model.safetensors").read_bytes()
        size = int.from_bytes(raw[:8], "little")
        header, data = json.loads(raw[8 : 8 + size]), raw[8 + size :]
        place, parts = 0, []
        for entry in header.values():
            if "dtype" not in entry:
                continue
            start, end = entry["data_offsets"]
            # The upper half of a float32 is a bfloat16.
            halves = (np.frombuffer(data[start:end], "<u4") >> 16).astype("<u2").tobytes()
            entry.update(dtype="BF16", data_offsets=[place, place + len(halves)])
            parts.append((start, halves))
            place += len(halves)
        new = json.dumps(header).encode()
        content = len(new).to_bytes(8, "little") + new + b"".join(half for _, half in parts)
        (folder / "model.safetensors").write_bytes(content)
        reader = span_reader(backbone=folder)
        full = load_file(FOLDER / "distilbert" / "model.safetensors")["qa_outputs.weight"]
        found = reader.get_layer("span").logits.kernel.numpy().T
        expected = (full.view("uint32") >> 16 << 16).view("float32")
        np.testing.assert_array_equal(found, expected)

    def test_an_encoder_alone_says_that_it_has_to_learn(self, tmp_path) -> None:
        folder = copy("bert", tmp_path / "reader")
        changed(
            folder, lambda tensors: [tensors.pop(f"qa_outputs.{n}") for n in ("weight", "bias")]
        )
        with pytest.warns(UserWarning, match="without a head for question answering. Train it"):
            qa = keras_qa.load(folder)
        with pytest.raises(ValueError, match="is not fitted"):
            qa.answer(text=TEXT, question="Who went?")
        qa.fit([Example(TEXT, "Who went?", "Mary", 0)], epochs=1, verbose=0)
        assert qa.answer(text=TEXT, question="Who went?").text


class TestWriting:
    @pytest.mark.parametrize("kind", KINDS)
    def test_what_is_written_is_what_was_read(self, kind: str, tmp_path) -> None:
        folder = copy(kind, tmp_path / "reader")
        tokenizer = SubwordTokenizer.from_file(folder)
        save_pretrained(span_reader(backbone=folder), tmp_path / "again", tokenizer)
        before = load_file(folder / "model.safetensors")
        after = load_file(tmp_path / "again" / "model.safetensors")
        assert sorted(after) == sorted(before)
        for name, value in before.items():
            np.testing.assert_array_equal(after[name], value, err_msg=name)
        config = json.loads((tmp_path / "again" / "config.json").read_text())
        assert config == json.loads((folder / "config.json").read_text())
        # With a tokenizer, only the text's own positions have logits.
        (tmp_path / "again" / "tokenizer.json").unlink()
        assert max(differences(span_reader(backbone=tmp_path / "again"), kind)) < TOLERANCE

    def test_a_trained_reader_is_the_same_after_both_files(self, tmp_path) -> None:
        qa = keras_qa.load(copy("bert", tmp_path / "reader"))
        qa.fit([Example(TEXT, "Who went?", "Mary", 0)], epochs=2, verbose=0)
        said = qa.answer(text=TEXT, question="Who slept?", top_k=3)
        qa.save(tmp_path / "qa.keras")
        loaded = keras_qa.load(tmp_path / "qa.keras")
        loaded.save_pretrained(tmp_path / "again")
        again = keras_qa.load(tmp_path / "again").answer(text=TEXT, question="Who slept?", top_k=3)
        assert [a.text for a in again] == [a.text for a in said]
        np.testing.assert_allclose([a.score for a in again], [a.score for a in said], rtol=1e-5)
        written = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())
        assert (written["cls_token"], written["sep_token"]) == ("[CLS]", "[SEP]")
        assert written["tokenizer_class"] == "BertTokenizer"
        assert written["do_lower_case"] is True
        assert written["model_input_names"] == ["input_ids", "token_type_ids", "attention_mask"]

    @pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
    @pytest.mark.parametrize("whole", [True, False])
    def test_a_quantized_reader_is_refused(self, whole, tmp_path) -> None:
        qa = keras_qa.load(copy("bert", tmp_path / "reader"))
        encoder = qa.model_.get_layer("backbone")
        if whole:
            qa.model_.quantize("int8")
        else:
            # With LoRA the product of both is float.
            encoder.enable_lora(2)
            encoder.blocks[1].hidden.quantize("int8")
        before = qa.model_.get_weights()
        with pytest.raises(ValueError, match="quantized to int8 cannot be saved as a.*`save`"):
            qa.save_pretrained(tmp_path / "again")
        assert not (tmp_path / "again").exists()
        for one, other in zip(before, qa.model_.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_a_reader_of_something_else_is_refused(self, tmp_path) -> None:
        qa = keras_qa.QuestionAnswerer("span_reader", model_options={"units": 4})
        qa.fit([Example(TEXT, "Who went?", "Mary", 0)], epochs=1, verbose=0)
        with pytest.raises(ValueError, match="Only models that were created from a checkpoint"):
            qa.save_pretrained(tmp_path / "again")
        assert not (tmp_path / "again").exists()


class TestRefusing:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"model_type": "t5"}, "unknown family 't5'. The known families are albert, bert"),
            ({"architectures": ["BertForNextSentencePrediction"]}, "a model for another task"),
            ({"hidden_act": "quick_gelu"}, "the activation 'quick_gelu' is not supported"),
            ({"is_decoder": True}, "`is_decoder=True` in its `config.json`"),
            ({"intermediate_size": 25}, "says"),
            ({"num_hidden_layers": 2}, "has an unexpected tensor: `.*encoder.layer.2"),
            ({"num_hidden_layers": 4}, "lacks the tensor `encoder.layer.3"),
            ({"num_hidden_layers": 10**9}, "lacks the tensor"),
            ({"vocab_size": 10**12}, r"has the shape \(200, 16\), but `config.json` says"),
            ({"max_position_embeddings": 10**9}, r"has the shape \(64, 16\)"),
            ({"type_vocab_size": 2**31 - 1}, "have more than .* numbers, which is more than its"),
            ({"hidden_size": "16"}, "cannot be read|has the shape"),
            ({"model_type": "deberta-v2", "conv_kernel_size": 3}, "`conv_kernel_size=3`"),
            ({"model_type": "deberta-v2", "share_att_key": False}, "`share_att_key=False`"),
            ({"model_type": "deberta-v2", "embedding_size": 8}, "`embedding_size` is 8"),
        ],
    )
    def test_a_setting(self, config, message: str, tmp_path) -> None:
        kind = "deberta-v2" if config.get("model_type") == "deberta-v2" else "bert"
        folder = copy(kind, tmp_path / "reader", **config)
        with pytest.raises(ValueError, match=message) as raised:
            keras_qa.load(folder)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("keep", [4, 500, -9])
    def test_a_file_cut_short(self, keep: int, tmp_path) -> None:
        folder = copy("bert", tmp_path / "reader")
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[:keep])
        with pytest.raises(ValueError, match="is damaged"):
            keras_qa.load(folder)

    def test_a_folder_without_weights_or_tokenizer(self, tmp_path) -> None:
        bare = copy("bert", tmp_path / "bare", tokenizer=False)
        with pytest.raises(ValueError, match="has no tokenizer"):
            keras_qa.load(bare)
        (bare / "model.safetensors").unlink()
        with pytest.raises(ValueError, match="has no weights"):
            keras_qa.load(bare)
        (bare / "config.json").unlink()
        with pytest.raises(ValueError, match="has no `config.json` with a `model_type`. Expected"):
            keras_qa.load(bare)

    def test_an_index_that_names_a_file_elsewhere(self, tmp_path) -> None:
        folder = copy("bert", tmp_path / "reader")
        (folder / "model.safetensors").unlink()
        index = {"weight_map": {"a": "../../secret.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(ValueError, match="which is in another folder"):
            keras_qa.load(folder)

    @pytest.mark.parametrize(
        ("index", "message"),
        [
            ({"weight_map": ["a"]}, "is not an index of weights"),
            ([], "is not an index of weights"),
            ({"weight_map": {"a": 3}}, "names the file 3, which is in another folder"),
        ],
    )
    def test_an_index_that_maps_no_names(self, index, message: str, tmp_path) -> None:
        folder = copy("bert", tmp_path / "reader")
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(ValueError, match=message) as raised:
            keras_qa.load(folder)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("name", ["word_embeddings", "layer.1", "qa_outputs"])
    def test_weights_that_are_not_finite(self, name: str, tmp_path) -> None:
        folder = copy("bert", tmp_path / "reader")

        def spoil(tensors) -> None:
            key = next(key for key in tensors if name in key)
            tensors[key] = np.full_like(tensors[key], np.nan)

        changed(folder, spoil)
        with pytest.raises(ValueError, match="the weight `.*` has NaN or infinity. Get the file"):
            keras_qa.load(folder)

    @pytest.mark.parametrize("prefix", ["", "~", "~nobody/", "hf://", "hf://a/"])
    def test_a_name_of_many_letters(self, prefix: str, tmp_path) -> None:
        name = prefix + "x" * 5_000
        for load in (keras_qa.load, lambda name: span_reader(backbone=name)):
            with pytest.raises((ValueError, FileNotFoundError)) as raised:
                load(name)
            message = str(raised.value)
            assert len(message) <= 300, message
            assert "Errno" not in message
