"""Strings in, answers out: learns from simulated stories, answers, saves and loads."""

import keras_qa

train = keras_qa.datasets.babi.simulate(task=1, examples=1_000, seed=0)
test = keras_qa.datasets.babi.simulate(task=1, examples=200, seed=1)

qa = keras_qa.QuestionAnswerer("answer_classifier", seed=0)
qa.fit(train, epochs=5, batch_size=64)

story = "Mary moved to the bathroom. John went to the hallway."
for answer in qa.answer(text=story, question="Where is Mary?", top_k=3):
    print(f"{answer.text:10} {answer.score:.2f}")

scores = qa.evaluate(test)
print(f"right on {scores['exact_match']:.0f} % of {scores['examples']} unseen questions")
qa.save("qa.keras")
loaded = keras_qa.load("qa.keras")
