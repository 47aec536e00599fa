"""A plain reimplementation of the official SQuAD evaluation scripts, for tests."""

import collections
import re
import string


def normal(text: str) -> str:
    text = text.lower()
    text = "".join(letter for letter in text if letter not in set(string.punctuation))
    text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())


def questions(dataset: list[dict]) -> list[dict]:
    return [qa for article in dataset for part in article["paragraphs"] for qa in part["qas"]]


def overlap(predicted: list[str], gold: list[str]) -> float:
    same = sum((collections.Counter(predicted) & collections.Counter(gold)).values())
    if same == 0:
        return 0
    precision = 1.0 * same / len(predicted)
    recall = 1.0 * same / len(gold)
    return (2 * precision * recall) / (precision + recall)


def evaluate_1(dataset: list[dict], predictions: dict[str, str]) -> dict[str, float]:
    f1 = exact_match = total = 0
    for qa in questions(dataset):
        total += 1
        if qa["id"] not in predictions:
            continue
        golds = [answer["text"] for answer in qa["answers"]]
        prediction = predictions[qa["id"]]
        exact_match += max(normal(prediction) == normal(gold) for gold in golds)
        f1 += max(overlap(normal(prediction).split(), normal(gold).split()) for gold in golds)
    return {"exact_match": 100.0 * exact_match / total, "f1": 100.0 * f1 / total}


def f1_2(gold: str, predicted: str) -> float:
    gold_words, predicted_words = normal(gold).split(), normal(predicted).split()
    if len(gold_words) == 0 or len(predicted_words) == 0:
        return int(gold_words == predicted_words)
    return overlap(predicted_words, gold_words)


def raw_scores(dataset: list[dict], predictions: dict[str, str]):
    exact, f1 = {}, {}
    for qa in questions(dataset):
        golds = [answer["text"] for answer in qa["answers"] if normal(answer["text"])]
        if not golds:
            golds = [""]
        predicted = predictions[qa["id"]]
        exact[qa["id"]] = max(int(normal(gold) == normal(predicted)) for gold in golds)
        f1[qa["id"]] = max(f1_2(gold, predicted) for gold in golds)
    return exact, f1


def with_threshold(scores, probabilities, has_answer, threshold):
    result = {}
    for id, score in scores.items():
        if probabilities[id] > threshold:
            result[id] = float(not has_answer[id])
        else:
            result[id] = score
    return result


def best_threshold(predictions, scores, probabilities, has_answer):
    current = sum(1 for id in has_answer if not has_answer[id])
    best, threshold = current, 0.0
    for id in sorted(probabilities, key=lambda key: probabilities[key]):
        if id not in scores:
            continue
        if has_answer[id]:
            change = scores[id]
        elif predictions[id]:
            change = -1
        else:
            change = 0
        current += change
        if current > best:
            best = current
            threshold = probabilities[id]
    return 100.0 * best / len(scores), threshold


def evaluate_2(dataset, predictions, probabilities=None, threshold=1.0) -> dict[str, float]:
    used = dict.fromkeys(predictions, 0.0) if probabilities is None else probabilities
    has_answer = {qa["id"]: bool(qa["answers"]) for qa in questions(dataset)}
    exact_raw, f1_raw = raw_scores(dataset, predictions)
    exact = with_threshold(exact_raw, used, has_answer, threshold)
    f1 = with_threshold(f1_raw, used, has_answer, threshold)
    result = {
        "exact": 100.0 * sum(exact.values()) / len(exact),
        "f1": 100.0 * sum(f1.values()) / len(exact),
        "total": len(exact),
    }
    for name, wanted in (("HasAns", True), ("NoAns", False)):
        ids = [id for id in has_answer if has_answer[id] is wanted]
        if ids:
            result[f"{name}_exact"] = 100.0 * sum(exact[id] for id in ids) / len(ids)
            result[f"{name}_f1"] = 100.0 * sum(f1[id] for id in ids) / len(ids)
            result[f"{name}_total"] = len(ids)
    if probabilities is not None:
        for name, raw in (("exact", exact_raw), ("f1", f1_raw)):
            best, at = best_threshold(predictions, raw, probabilities, has_answer)
            result[f"best_{name}"] = best
            result[f"best_{name}_thresh"] = at
    return result
