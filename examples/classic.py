"""Trains the classic two-input model on random ids, fed as a list and as a dict."""

import numpy as np

import keras_qa

random = np.random.default_rng(0)
text = random.integers(1, 10_000, size=(256, 20))
question = random.integers(1, 10_000, size=(256, 5))
answers = random.integers(0, 500, size=256)

model = keras_qa.models.answer_classifier()
model.fit([text, question], answers, batch_size=128)  # a list, in order
model.fit({"text": text, "question": question}, answers, batch_size=128)  # a dict, by name

probabilities = model.predict([text, question])
print(f"{model.count_params():,} parameters, probabilities of shape {probabilities.shape}")
