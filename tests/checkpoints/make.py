"""Makes a small random checkpoint of each family, and what `transformers` computes with it.

    pip install "transformers>=5" torch
    python tests/checkpoints/make.py

Weights are drawn anew, biases and normalisations too, so that none is where it does nothing.
"""

from __future__ import annotations

import pathlib

import numpy as np
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent

BERT = {
    "vocab_size": 200,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}
ROBERTA = {**BERT, "max_position_embeddings": 66, "type_vocab_size": 1, "pad_token_id": 1}
SIZES = {
    "bert": BERT,
    "distilbert": {
        "vocab_size": 200,
        "dim": 16,
        "n_layers": 3,
        "n_heads": 2,
        "hidden_dim": 24,
        "max_position_embeddings": 64,
    },
    "roberta": ROBERTA,
    "xlm-roberta": {**ROBERTA, "layer_norm_eps": 1e-5},
    "camembert": ROBERTA,
    "electra": {**BERT, "embedding_size": 8},
    "albert": {**BERT, "embedding_size": 8, "num_hidden_layers": 4, "num_hidden_groups": 2},
    "mpnet": ROBERTA,
    "deberta-v2": {
        **BERT,
        "relative_attention": True,
        "position_buckets": 8,
        "position_biased_input": False,
        "pos_att_type": ["p2c", "c2p"],
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "type_vocab_size": 0,
    },
    "modernbert": {
        **BERT,
        "num_hidden_layers": 4,
        "local_attention": 8,
        "global_attn_every_n_layers": 3,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
    },
}


def feed(offset: int) -> dict[str, torch.Tensor]:
    """Ids of rows of different lengths, padded."""
    generator = np.random.default_rng(7)
    lengths = [40, 23, 5]
    ids = generator.integers(5, 60, (3, 40))
    mask = np.arange(40) < np.array(lengths)[:, None]
    segments = (np.arange(40) >= 3) & mask
    return {
        "input_ids": torch.tensor(np.where(mask, ids, offset)),
        "attention_mask": torch.tensor(mask.astype("int64")),
        "token_type_ids": torch.tensor(segments.astype("int64")),
    }


def make(target: pathlib.Path, seed: int) -> None:
    """Makes a checkpoint of each family in a folder.

    Args:
        target: The folder.
        seed: Of the weights.
    """
    for kind, sizes in SIZES.items():
        torch.manual_seed(seed)
        config = transformers.AutoConfig.for_model(kind, **sizes)
        model = transformers.AutoModelForQuestionAnswering.from_config(config)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                middle = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
                weight.copy_(middle + 0.3 * torch.randn(weight.shape))
        model.eval()
        inputs = feed(config.pad_token_id or 0)
        if getattr(config, "type_vocab_size", 0) < 2:
            del inputs["token_type_ids"]
        with torch.no_grad():
            outputs = model(**inputs)
        folder = target / kind
        model.save_pretrained(folder)
        arrays = {name: value.numpy().astype("int32") for name, value in inputs.items()}
        np.savez_compressed(
            folder / "logits.npz",
            start=outputs.start_logits.numpy(),
            end=outputs.end_logits.numpy(),
            **arrays,
        )


if __name__ == "__main__":
    make(FOLDER, seed=0)
