"""Many at once: all are answered, or told when to come back, and one that fails does not harm the others."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hostile import sound_file, tone
from live import Live

from lalm_ambig.core.errors import InputError
from lalm_ambig.inference.answer import Answer
from lalm_ambig.inference.model import Model
from lalm_ambig.inference.questions import Question
from lalm_ambig.serving.app import Service
from lalm_ambig.serving.limits import Limits

CLIP = sound_file(tone(0.5))


class Held(Service):
    """A service whose model waits until it is let go, and fails at texts with `fail` in them."""

    def __init__(self, model: Model, limits: Limits) -> None:
        super().__init__(model, limits)
        self.go = threading.Event()
        self.asked: list[str | None] = []

    def _ask(self, questions: Sequence[Question]) -> list[Answer | InputError]:
        assert self.go.wait(60)
        self.asked += [question.text for question in questions]
        if any("fail" in (question.text or "") for question in questions):
            raise RuntimeError("as it was told to")
        return super()._ask(questions)


def test_sixty_at_once_are_answered_each_with_its_own_answer(small_model: Model) -> None:
    texts = [f"It is {n}." for n in range(10)]
    with Live(Service(small_model, Limits(queue=60))) as server, ThreadPoolExecutor(60) as pool:
        expected = {text: server.post(audio=CLIP, text=text).json["distribution"] for text in texts}
        replies = list(
            pool.map(lambda n: (texts[n % 10], server.post(audio=CLIP, text=texts[n % 10])), range(60))
        )
        assert server.get("/health").json["answered"] == 70
    assert [reply.status for _, reply in replies] == [200] * 60
    for text, reply in replies:
        assert reply.json["distribution"] == pytest.approx(expected[text], abs=1e-5)


def test_a_full_queue_says_when_to_come_back(small_model: Model) -> None:
    service = Held(small_model, Limits(queue=5))
    with Live(service) as server, ThreadPoolExecutor(50) as pool:
        sent = [pool.submit(server.post, text=f"It is {n}.") for n in range(50)]
        while sum(one.done() for one in sent) < 45:
            time.sleep(0.01)
        assert server.get("/health").json["inside"] == 5
        service.go.set()
        replies = [one.result() for one in sent]
        assert server.post(text="a").status == 200
    statuses = [reply.status for reply in replies]
    assert (statuses.count(200), statuses.count(503)) == (5, 45)
    refused = next(reply for reply in replies if reply.status == 503)
    assert refused.error == "the queue is full: try again later." and int(refused.headers["Retry-After"]) >= 1


def test_requests_that_hold_too_many_bytes_together_are_refused(small_model: Model) -> None:
    service = Service(small_model, Limits())
    service.admission.bytes = service.limits.held_bytes
    with Live(service) as server:
        reply = server.post(audio=CLIP)
        assert (
            reply.status == 503
            and "Retry-After" in reply.headers
            and "as much sound as it may" in reply.error
        )
        service.admission.bytes = 0
        assert server.post(audio=CLIP).status == 200 and service.admission.bytes == 0


def test_an_answer_that_does_not_come_is_not_waited_for(small_model: Model) -> None:
    service = Held(small_model, Limits(timeout_s=0.2))
    with Live(service) as server:
        first, second = server.post(text="first"), server.post(text="second")
        assert [first.status, second.status] == [503, 503] and "no answer within 0.2 s" in first.error
        service.go.set()
    assert "second" not in service.asked  # nobody waits for it any more


def test_one_question_that_fails_does_not_fail_the_others(
    small_model: Model, capfd: pytest.CaptureFixture[str]
) -> None:
    service = Held(small_model, Limits())
    with Live(service) as server, ThreadPoolExecutor(9) as pool:
        sent = [pool.submit(server.post, text="fail" if n == 4 else f"It is {n}.") for n in range(9)]
        while server.get("/health").json["inside"] < 9:
            time.sleep(0.01)
        service.go.set()
        replies = [one.result() for one in sent]
    assert [reply.status for reply in replies] == [500 if n == 4 else 200 for n in range(9)]
    assert replies[4].error == "the model failed at it; the server's output says why."
    assert "RuntimeError: as it was told to" in capfd.readouterr().err


def test_who_waits_when_the_server_stops_is_told(small_model: Model) -> None:
    service = Held(small_model, Limits())
    service.worker.start()
    first = service.worker.submit(Question("input", text="first"))
    while not first.running():
        time.sleep(0.01)
    second = service.worker.submit(Question("input", text="second"))
    assert not service.worker.stop(0.1)
    assert "stopping" in str(second.exception(10))
    assert "stopping" in str(service.worker.submit(Question("input", text="third")).exception(10))
    service.go.set()
    assert service.worker.stop(60.0) and first.result(10).distribution


def test_who_waits_for_a_server_that_ends_gets_an_answer(small_model: Model) -> None:
    service = Held(small_model, Limits())
    with ThreadPoolExecutor(20) as pool:
        with Live(service) as server:
            sent = [pool.submit(server.post, audio=CLIP, text=f"It is {n}.") for n in range(20)]
            while server.get("/health").json["inside"] < 20 or service.worker.waiting < 4:
                time.sleep(0.01)
            server.stopping.set()
            threading.Timer(0.5, service.go.set).start()
        replies = [one.result() for one in sent]
    assert {reply.status for reply in replies} == {200, 503}
    assert all("stopping" in reply.error for reply in replies if reply.status == 503)
