"""What a server answers is what the model answers, in the form that its schema promises."""

import base64
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hostile import sound_file, tone
from live import Live, Reply, tiny_model
from small_checkpoints import write_causal_lm

from lalm_ambig.core.types import Item
from lalm_ambig.inference.model import Model
from lalm_ambig.inference.questions import Question
from lalm_ambig.serving.app import Service
from lalm_ambig.serving.examples import Example
from lalm_ambig.serving.limits import Limits

CLIP = sound_file(tone(0.7))


def fits(reply: Reply, server: Live, record: str) -> Any:
    """The reply, if it fits the schema of that record."""
    schema = server.get("/openapi.json").json
    schemas = {"$ref": f"#/components/schemas/{record}", "components": schema["components"]}
    jsonschema.Draft202012Validator(schemas).validate(reply.json)
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("application/json")
    return reply.json


def test_a_clip_with_its_words_gets_the_models_own_answer(thinking_model: Model, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(CLIP)
    expected = thinking_model.predict(tmp_path / "a.wav", text="It is cold.")
    with Live(Service(thinking_model, Limits())) as server:
        answer = fits(server.post(audio=CLIP, text="It is cold."), server, "Answer")
        assert fits(server.get("/v1/model"), server, "Model")["reasons"] is True
    assert answer["distribution"] == pytest.approx(expected.distribution, abs=2e-6)
    assert answer["top"] == expected.top
    assert answer["reasoning"] == expected.reasoning is not None
    assert sum(answer["distribution"].values()) == pytest.approx(1, abs=1e-5)


def test_text_alone_and_sound_alone_are_judged(live: Live, small_model: Model) -> None:
    text = fits(live.post(text="It is cold."), live, "Answer")
    assert text["distribution"] == pytest.approx(
        small_model.predict(text="It is cold.").distribution, abs=2e-6
    )
    sound = fits(live.post(audio=CLIP), live, "Answer")
    assert sound["distribution"] != pytest.approx(text["distribution"], abs=1e-4)


def test_json_and_multipart_get_the_same_answer(live: Live) -> None:
    as_json = fits(live.post_json({"audio": base64.b64encode(CLIP).decode(), "text": "Ä 😀"}), live, "Answer")
    assert as_json == live.post(audio=CLIP, text="Ä 😀").json


@pytest.mark.parametrize(
    ("kind", "rate_hz", "channels"), [("FLAC", 44_100, 2), ("OGG", 48_000, 1), ("AIFF", 8_000, 1)]
)
def test_other_formats_rates_and_channels_are_heard(
    live: Live, kind: str, rate_hz: int, channels: int
) -> None:
    clip = sound_file(tone(0.7, rate_hz=rate_hz, channels=channels), rate_hz, kind=kind)
    fits(live.post(audio=clip, filename="a.txt"), live, "Answer")


def test_a_long_clip_is_heard_in_windows(live: Live, small_model: Model) -> None:
    answer = fits(live.post(audio=sound_file(tone(9.0))), live, "Answer")
    assert answer["windows"] == 3 and small_model.window_s == 4.0


def test_an_answer_does_not_depend_on_what_is_asked_beside_it(small_model: Model) -> None:
    service = Service(small_model, Limits())
    questions = [Question("input", text=f"It is {n}.") for n in range(5)]
    waiting = [service.worker.submit(question) for question in questions]
    service.worker.start()
    together = [answer.result(60) for answer in waiting]
    assert service.worker.stop(60.0) and service.worker.answered == 5
    for question, answer in zip(questions, together, strict=True):
        assert answer.distribution == pytest.approx(
            small_model.predict(text=question.text).distribution, abs=1e-5
        )


def test_the_model_its_limits_and_its_health_fit_their_schema(live: Live, small_model: Model) -> None:
    model = fits(live.get("/v1/model"), live, "Model")
    assert model["classes"] == list(small_model.classes)
    assert model["limits"]["upload_bytes"] == 1024 * 1024
    assert fits(live.get("/health"), live, "Health")["inside"] == 0


def test_the_schema_is_openapi_and_names_every_address(live: Live) -> None:
    schema = live.get("/openapi.json").json
    assert schema["openapi"].startswith("3.1") and set(schema["paths"]) == {
        *("/v1/predict", "/v1/model", "/health", "/v1/examples", "/v1/examples/{number}/predict"),
        "/v1/examples/{number}/audio",
    }
    for record in schema["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(record)


def test_examples_come_with_peoples_votes_and_get_the_same_answer(
    small_model: Model, items: tuple[Item, ...]
) -> None:
    votes = dict(zip(small_model.classes, items[0].votes, strict=True))
    question = Question("i0", audio=Path(items[0].audio or ""), text=items[0].text)
    service = Service(small_model, Limits(), examples=[Example("i0", "test", votes, question)])
    with Live(service) as server:
        [example] = server.get("/v1/examples").json
        assert example["votes"] == votes and example["people"]["neutral"] == 0.6
        clip = server.get("/v1/examples/0/audio")
        assert (
            clip.body == Path(items[0].audio or "").read_bytes()
            and clip.headers["Content-Type"] == "audio/wav"
        )
        answer = fits(server.send("POST", "/v1/examples/0/predict"), server, "Answer")
        assert answer == server.post(audio=clip.body, text=items[0].text).json
        for path in (
            "/v1/examples/1/audio",
            "/v1/examples/-1/audio",
            "/v1/examples/%D9%A0/audio",
            "/v1/examples/../audio",
        ):
            assert server.get(path).status == 404


def test_without_a_page_there_are_neither_page_nor_examples(small_model: Model) -> None:
    with Live(Service(small_model, Limits(), has_page=False)) as server:
        assert [server.get(path).status for path in ("/", "/page.js", "/v1/examples")] == [404] * 3
        assert "/v1/examples" not in server.get("/openapi.json").json["paths"]
        assert server.post(text="a").status == 200


def test_a_response_that_cannot_be_read_is_an_answer_without_a_distribution(cache_home: Path) -> None:
    with Live(Service(tiny_model(cache_home, readout="verbalised", max_new_tokens=4), Limits())) as server:
        answer = fits(server.post(text="It is cold."), server, "Answer")
        assert fits(server.get("/v1/model"), server, "Model")["readout"] == "verbalised"
    assert answer["distribution"] is answer["top"] is answer["entropy_bits"] is None and answer["unparsed"]


def test_a_model_of_texts_refuses_sound_before_it_is_decoded(cache_home: Path, tmp_path: Path) -> None:
    folder = write_causal_lm(tmp_path / "base", "llama")
    with Live(Service(tiny_model(cache_home, kind="causal_lm", policy_path=str(folder)), Limits())) as server:
        assert fits(server.get("/v1/model"), server, "Model")["hears"] is False
        reply = server.post(audio=CLIP, text="It is cold.")
        assert reply.status == 422 and "hears nothing: give a text alone" in reply.error
        fits(server.post(text="It is cold."), server, "Answer")
