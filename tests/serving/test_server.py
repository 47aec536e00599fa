"""The server as a whole: concurrent clients, overload, limits, its pages, metrics and log."""

import base64
import concurrent.futures
import copy
import hashlib
import http.client
import json
import logging
import re
import socket
import threading
import time

import pytest
from servers import error_of, send, serve
from small_examples import SHADES

from keras_qa import QuestionAnswerer
from keras_qa.serving import create_app
from keras_qa.serving.server import listen

CLIENTS = 32


def body(text: str, question: str) -> dict:
    return {"inputs": {"question": question, "context": text}}


def test_concurrent_clients_get_the_answers_of_python(qa) -> None:
    things = [f"thing{n}" for n in range(25)]
    pairs = [
        (f"{'the sky is clear. ' * (n % 9)}the {thing} is {shade}.", f"What colour is the {thing}?")
        for n, thing in enumerate(things)
        for shade in SHADES
    ]
    # Questions with other options must not be answered together.
    own = [qa.answer(*pair, max_answer_words=1 + n % 3) for n, pair in enumerate(pairs)]
    bodies = [
        {**body(*pair), "parameters": {"max_answer_len": 1 + n % 3}} for n, pair in enumerate(pairs)
    ]
    with serve(qa, max_batch=8) as url, concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        found = list(pool.map(lambda sent: send(url, sent), bodies))
        metrics = send(f"{url}/metrics")[1].decode()
    assert [status for status, *_ in found] == [200] * 100
    answers = [one for _, one, _ in found]
    assert [one["answer"] for one in answers] == [one.text for one in own]
    assert [one["start"] for one in answers] == [one.start or 0 for one in own]
    assert [one["score"] for one in answers] == pytest.approx([one.score for one in own], abs=1e-6)
    sizes = {
        name: float(value) for name, value in re.findall(r"_size_(sum|count) (\S+)\n", metrics)
    }
    assert sizes["sum"] == 100
    # Some were answered together.
    assert sizes["count"] < 100
    assert 'keras_qa_requests_total{method="POST",route="/",status="200"} 100.0' in metrics


def test_the_body_of_a_response_does_not_wait_for_an_acknowledgement() -> None:
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_idle_server_does_not_wait_for_other_questions(qa) -> None:
    # With a wait, there would be no answer in time.
    with serve(qa, max_wait_ms=60_000, timeout=10) as url:
        for _ in range(3):
            assert send(url, body("the car is blue.", "What colour is the car?"))[0] == 200


class Gate:
    """A reader that answers only when its gate is open, and counts its questions."""

    def __init__(self, qa: QuestionAnswerer) -> None:
        self.qa = qa
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Semaphore(0)
        self.questions: list[str] = []

    def answer(self, text, question, **options):
        if isinstance(question, list):
            self.questions += question
            self.entered.release()
        assert self.open.wait(30)
        return self.qa.answer(text, question, **options)


def wait_for(url: str, line: str) -> None:
    """Waits until the metrics have a line."""
    end = time.monotonic() + 60
    while line not in send(f"{url}/metrics")[1].decode():
        assert time.monotonic() < end, f"The metrics have no line {line}."


def test_a_full_queue_gives_503_and_what_was_accepted_is_answered(qa) -> None:
    gate = Gate(qa)
    pairs = [(f"the car is {shade}.", "What colour is the car?") for shade in SHADES]
    with (
        serve(gate, max_queue=2, max_questions=2) as url,
        concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool,
    ):
        gate.open.clear()
        first = pool.submit(send, url, body(*pairs[0]))
        assert gate.entered.acquire(timeout=30)
        others = [pool.submit(send, url, body(*pair)) for pair in pairs[1:3]]
        wait_for(url, "keras_qa_queue_size 2.0")
        for _ in range(20):
            status, found, headers = send(url, body(*pairs[3]))
            assert (status, found) == (503, {"error": "The server is busy: its queue is full."})
            assert 1 <= int(headers["Retry-After"]) <= 60
        gate.open.set()
        answers = [one.result() for one in (first, *others)]
        assert [found["answer"] for _, found, _ in answers] == [
            qa.answer(*pair).text for pair in pairs[:3]
        ]
        assert send(url, body(*pairs[3]))[0] == 200


def test_a_question_whose_time_has_passed_is_not_read(qa) -> None:
    gate = Gate(qa)
    with serve(gate, timeout=0.2) as url, concurrent.futures.ThreadPoolExecutor(2) as pool:
        gate.open.clear()
        first = pool.submit(send, url, body("a", "first"))
        assert gate.entered.acquire(timeout=30)
        second = pool.submit(send, url, body("a", "second"))
        for status, found, headers in (first.result(), second.result()):
            message = "The server is busy: there was no answer within 0.2 seconds."
            assert (status, found) == (503, {"error": message})
            assert headers["Retry-After"] == "1"
        gate.open.set()
        assert send(url, body("a", "third"))[0] == 200
    assert gate.questions == ["first", "third"]


def test_a_question_whose_client_has_gone_is_not_read(qa) -> None:
    gate = Gate(qa)
    with serve(gate) as url, concurrent.futures.ThreadPoolExecutor(1) as pool:
        gate.open.clear()
        first = pool.submit(send, url, body("a", "first"))
        assert gate.entered.acquire(timeout=30)
        host, port = url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port))
        connection.request("POST", "/", json.dumps(body("a", "second")))
        wait_for(url, "keras_qa_queue_size 1.0")
        connection.close()
        wait_for(url, "keras_qa_queue_size 0.0")
        gate.open.set()
        assert first.result()[0] == send(url, body("a", "third"))[0] == 200
    assert gate.questions == ["first", "third"]


def test_an_error_of_one_question_does_not_affect_the_others(qa) -> None:
    class Strict(Gate):
        def answer(self, text, question, **options):
            if "bad" in question:
                raise ValueError("`question` is bad.")
            if "broken" in question:
                raise RuntimeError("the broken text")
            return super().answer(text, question, **options)

    gate = Strict(qa)
    with serve(gate) as url, concurrent.futures.ThreadPoolExecutor(4) as pool:
        gate.open.clear()
        first = pool.submit(send, url, body("a", "first"))
        assert gate.entered.acquire(timeout=30)
        asked = [pool.submit(send, url, body("the car is red.", one)) for one in ("good", "bad")]
        wait_for(url, "keras_qa_queue_size 2.0")
        gate.open.set()
        assert [one.result()[0] for one in (first, *asked)] == [200, 200, 400]
        assert asked[1].result()[1] == {"error": "`question` is bad."}
        # The message of another error may contain texts.
        assert error_of(url, body("a", "broken")) == "500 The model failed."
        assert send(url, body("a", "good"))[0] == 200


def test_a_long_text_is_read_in_slices_until_the_time_has_passed(qa) -> None:
    class Counted:
        """A model that waits in its second call."""

        def __init__(self) -> None:
            self.rows: list[int] = []
            self.open = threading.Event()

        def __getattr__(self, name):
            return getattr(qa.model_, name)

        def predict(self, feed, **options):
            self.rows.append(len(feed["text"]))
            assert len(self.rows) != 3 or self.open.wait(30)
            return qa.model_.predict(feed, **options)

    reader, text = copy.copy(qa), "the sky is clear. " * 100 + "the car is blue."
    reader.model_ = model = Counted()
    asked = body(text, "What colour is the car?")
    with serve(reader, max_batch=4, timeout=0.5) as url:
        assert send(url, asked)[0] == 503
        model.open.set()
        assert send(url, body("the car is blue.", "What colour is the car?"))[1]["answer"] == "blue"
    # The first is of the start, the last of another question.
    assert model.rows == [1, 4, 4, 1]
    reader.model_ = model = Counted()
    model.open.set()
    with serve(reader, max_batch=4) as url:
        found, own = send(url, asked)[1], qa.answer(text, "What colour is the car?")
    assert model.rows[1:-1] == [4] * (len(model.rows) - 2)
    assert len(model.rows) > 10
    assert (found["answer"], found["start"]) == (own.text, own.start)
    assert found["score"] == pytest.approx(own.score, abs=1e-6)


def test_an_unexpected_error_is_json(qa) -> None:
    class Broken:
        def search(self, questions, k):
            return [[] for _ in questions]

        @property
        def names(self):
            raise RuntimeError("my text")

    with serve(qa, Broken()) as url:
        assert error_of(f"{url}/documents") == "500 The server failed."
        assert send(f"{url}/health")[0] == 200


def test_the_log_has_no_texts(qa, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(qa) as url:
        send(url, body("my text", "my question"))
        send(url, {"inputs": "my text"})
        send(f"{url}/my%20text?question=my%20text")
    lines = [record.getMessage() for record in caplog.records if "serving" in record.name]
    assert [re.sub(r"[\d.]+ ms", "ms", line) for line in lines] == [
        "POST / 200 ms",
        "POST / 400 ms",
        "GET unknown 404 ms",
    ]
    assert "my" not in caplog.text.replace("asyncio", "")


def test_pages_allow_only_their_own_script_and_style(url) -> None:
    for path in ("/", "/docs"):
        status, page, headers = send(url + path)
        policy = headers["Content-Security-Policy"]
        assert status == 200
        assert policy.startswith("default-src 'none'; connect-src 'self';")
        assert "unsafe" not in policy
        for tag in ("script", "style"):
            (part,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page.decode(), re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy
        # Nothing from other hosts, and no text becomes HTML.
        assert not re.search(
            rb"https?://|innerHTML|insertAdjacent|document\.write|eval\(| on\w+=", page
        )


def test_information(url) -> None:
    assert send(f"{url}/health")[1] == {"status": "ok"}
    info = send(f"{url}/info")[1]
    assert (info["model_id"], info["documents"], info["ranker"]) == ("small/reader", None, False)
    assert info["max_text"] == 5_000
    description = send(f"{url}/openapi.json")[1]
    assert description["paths"]["/"]["post"]["summary"].startswith("Answers questions about texts")
    # What is not loaded is not described.
    assert not {"/ask", "/rerank"} & description["paths"].keys()
    status, found, headers = send(url, None, "HEAD")
    assert (status, found) == (200, b"")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_batch": 0}, "`max_batch` must be a positive integer. Received: max_batch=0."),
        ({"max_wait_ms": -1.0}, "`max_wait_ms` must not be negative. Received: max_wait_ms=-1.0."),
        ({"timeout": 0}, "`timeout` must be a positive number. Received: timeout=0."),
        ({"max_queue": 9}, "`max_questions` must be at most `max_queue`, or the questions of a"),
        ({"token": ""}, "`token` must be at least one ASCII character, and no spaces."),
        ({"token": "a b"}, "`token` must be at least one ASCII character, and no spaces."),
    ],
)
def test_wrong_limits(qa, options, message: str) -> None:
    weights = qa.model_.get_weights()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        create_app(qa, **options)
    assert all(
        (one == other).all() for one, other in zip(weights, qa.model_.get_weights(), strict=True)
    )
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        create_app(qa, other=1)


def test_a_long_question_leaves_room_for_the_text(qa) -> None:
    gate = Gate(qa)
    gate.model_ = qa.model_
    asked = {}

    def answer(text, question, **options):
        asked.update(options)
        return qa.answer(text, question, **options)

    gate.answer = answer
    with serve(gate) as url:
        for parameters, expected in (
            ({}, 6),
            ({"max_seq_len": 500}, 128),
            ({"max_seq_len": 500, "max_question_len": 7}, 7),
            ({"max_seq_len": 12}, 6),
        ):
            assert send(url, {**body("a", "b"), "parameters": parameters})[0] == 200
            assert asked["max_question_length"] == expected
