"""Trains on simulated stories, answers questions, saves and loads."""

import keras_qa

stories = keras_qa.datasets.babi.simulate(task=1, examples=1_200, seed=0)
train, test = stories[:1_000], stories[1_000:]

qa = keras_qa.QuestionAnswerer("memory_network", seed=0)
qa.fit(train, epochs=10)

story = "Mary moved to the bathroom. John went to the hallway."
for answer in qa.answer(text=story, question="Where is Mary?", top_k=3):
    print(f"{answer.text:10} {answer.score:.2f}  since: {answer.support[0].text}")

scores = qa.evaluate(test)
print(f"right on {scores['exact_match']:.0f} % of {scores['examples']} unseen questions")
qa.save("qa.keras")
loaded = keras_qa.load("qa.keras")
