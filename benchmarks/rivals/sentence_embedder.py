"""Embeds texts with `sentence-transformers`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sentence_transformers import SentenceTransformer


class SentenceEmbedder:
    """An encoder that sorts all texts by length and reads 32 at once, its default.

    Args:
        folder: A checkpoint of `sentence-transformers`.
        texts: The texts.
    """

    def __init__(self, folder: str, texts: Sequence[str]) -> None:
        self.model = SentenceTransformer(folder, device="cpu")
        self.texts = list(texts)

    def embed(self) -> np.ndarray:
        """Unit vectors: (texts, dimension)."""
        return self.model.encode(
            self.texts, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
