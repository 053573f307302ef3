"""`evaluate --endpoint` against a stub: readouts, faults, caps, resuming, and what is on disk."""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from endpoint_stub import EndpointStub

from lalm_ambig import compare, evaluate, report
from lalm_ambig.core.errors import InputError
from lalm_ambig.endpoint.answers import Answers
from lalm_ambig.evaluation.predictions import Prediction, read_predictions
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.results_file import read_results

Words = Callable[..., list[str]]
LOGITS = ("--readout", "logits")
NAMED = "<answer> neutral</answer>"


def rows(out: Path) -> list[Prediction]:
    return read_predictions(out / "predictions.jsonl")


def results(out: Path) -> Results:
    return read_results(out / "metrics.json")


def by_pair(body: Mapping[str, Any]) -> str:
    """A distribution that is different for each pair."""
    page = int(re.findall(r"page \w+?(\d+)\.", body["messages"][0]["content"])[0])
    return json.dumps({"entailment": page + 1, "neutral": 3, "contradiction": 0})


def test_a_stated_distribution_is_that_of_its_item_and_the_row_says_what_it_took(
    words: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with EndpointStub(write=by_pair) as stub:
        assert evaluate.main(words(stub, "--price-text-in", "1", "--price-out", "2")) == 0
    out, printed = tmp_path / "out", capsys.readouterr().out
    for row in rows(out):
        page = int(re.findall(r"\d+", row.id)[-1])
        assert row.predicted_dist == pytest.approx([(page + 1) / (page + 4), 3 / (page + 4), 0])
    found = results(out)
    assert (found.about.readout, found.about.reasoning, found.parse_rate) == ("verbalised", "direct", 1)
    assert found.about.policy == "right-model (verbalised, endpoint)"
    assert found.about.tokens_charged is not None and found.about.tokens_charged > 0
    assert found.about.cost_usd is not None and found.about.cost_usd > 0
    assert len(stub.chats) == found.items, "each item once, the first one too"
    assert {body["temperature"] for body in stub.chats} == {0}
    assert "right-model (verbalised, endpoint)" in " ".join(printed.split())
    assert "charged" in printed and "USD" in printed


def test_report_and_compare_take_the_folder_beside_others(
    words: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = [tmp_path / "out", tmp_path / "other"]
    for out, write in zip(outs, (by_pair, lambda _: '{"neutral": 1}'), strict=True):
        with EndpointStub(write=write) as stub:
            evaluate.main(words(stub, out=out.name))
    page = tmp_path / "report"
    assert report.main([*map(str, outs), "--table", "all", "b1", "--figure", "none", "--out", str(page)]) == 0
    for name in ("all_chaosnli.csv", "b1.csv"):
        text = next(page.glob(name)).read_text()
        assert "right-model (verbalised, endpoint)" in text, name
        assert "prior" in text
    capsys.readouterr()
    assert compare.main([str(outs[0]), str(outs[1])]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "the items that right-model was trained on are not known" in printed
    assert "older version" not in printed


def test_a_refusal_and_what_is_no_json_are_counted_and_never_repaired(words: Words, tmp_path: Path) -> None:
    texts = iter(["I cannot say.", '{"entailment": 1', '{"joy": 1}'] + ['{"neutral": 1}'] * 20)
    with EndpointStub(write=lambda _: next(texts)) as stub:
        assert evaluate.main(words(stub, "--concurrency", "1")) == 0
    out = tmp_path / "out"
    unread = [row for row in rows(out) if row.unparsed is not None]
    assert {row.unparsed for row in unread} == {"no object", "unknown class"}
    assert all(row.predicted_dist == pytest.approx((1 / 3,) * 3) for row in unread)
    assert results(out).unparsed == {"no object": 2, "unknown class": 1}


def test_a_filter_of_the_server_is_a_refusal(words: Words, tmp_path: Path) -> None:
    with EndpointStub() as stub:
        stub.faults.append((400, {}, '{"error": {"message": "content_filter: no"}}'))
        assert evaluate.main(words(stub, "--concurrency", "1")) == 0
    assert results(tmp_path / "out").unparsed == {"refusal": 1}


def test_logits_are_read_where_the_model_itself_starts_its_answer(words: Words, tmp_path: Path) -> None:
    answer = {" neutral": 0.7, " Ent": 0.2, " contra": 0.0999, "x": 1e-5}
    with EndpointStub(write=lambda _: NAMED, answer=answer) as stub:
        assert evaluate.main(words(stub, *LOGITS)) == 0
    mass = 0.7 + 0.2 + 0.0999
    for row in rows(tmp_path / "out"):
        assert row.predicted_dist == pytest.approx((0.2 / mass, 0.7 / mass, 0.0999 / mass))
        assert row.class_mass == pytest.approx(mass)
        assert row.response == "<answer>"
    assert "likeliest tokens" in " ".join(results(tmp_path / "out").notes)


def test_reasoning_comes_before_the_answer_and_its_alternatives_stay_off_the_disk(
    words: Words, tmp_path: Path
) -> None:
    text = "<think>The page is read.</think><answer> neutral</answer>"
    with EndpointStub(
        write=lambda _: text, answer={" neutral": 0.8, " ent": 0.15, " con": 0.0499, "x": 1e-5}
    ) as stub:
        assert evaluate.main(words(stub, *LOGITS, "--reasoning", "--max-new-tokens", "50")) == 0
    row = rows(tmp_path / "out")[0]
    assert row.response == "<think>The page is read.</think><answer>"
    assert row.predicted_dist[1] == pytest.approx(0.8 / 0.9999)
    assert results(tmp_path / "out").about.reasoning == "generated"
    kept = json.loads((tmp_path / "out/answers.jsonl").read_text().splitlines()[-1])["reply"]["logprobs"]
    assert [bool(position["top_logprobs"]) for position in kept].index(True) > 5


def test_a_server_that_goes_on_from_a_text_is_asked_for_the_name_alone(words: Words, tmp_path: Path) -> None:
    answer = {" neutral": 0.7, " ent": 0.2, " con": 0.0999, "x": 1e-5}
    with EndpointStub(write=lambda _: "I think neutral.", answer=answer, continues=True) as stub:
        assert evaluate.main(words(stub, *LOGITS)) == 0
    assert results(tmp_path / "out").parse_rate is None
    assert stub.chats[-1]["messages"][-1] == {"role": "assistant", "content": "<answer>"}
    assert stub.chats[-1]["continue_final_message"] is True


def test_a_server_that_begins_another_turn_is_found_out_by_the_number_of_tokens(
    words: Words, tmp_path: Path
) -> None:
    answer = {" neutral": 0.7, " ent": 0.2, " con": 0.0999, "x": 1e-5}
    with EndpointStub(write=lambda _: "neutral", answer=answer) as stub:
        assert evaluate.main(words(stub, *LOGITS)) == 0
    found = results(tmp_path / "out")
    assert found.unparsed == {"no answer": found.items}


def test_a_class_outside_the_listed_tokens_is_no_silent_zero(
    words: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with EndpointStub(write=lambda _: NAMED, answer={" neutral": 0.7, "x": 0.2, "y": 0.05}) as stub:
        assert evaluate.main(words(stub, *LOGITS)) == 0
    found = results(tmp_path / "out")
    assert found.unparsed == {"class outside the listed tokens": found.items}
    assert rows(tmp_path / "out")[0].class_mass == pytest.approx(0.7)
    assert "Use --readout verbalised." in capsys.readouterr().out
    with EndpointStub(write=lambda _: NAMED, answer={" neutral": 0.9999, " ent": 1e-5}) as stub:
        assert evaluate.main(words(stub, *LOGITS, out="sharp")) == 0
    row = rows(tmp_path / "sharp")[0]
    assert row.unparsed is None
    assert 0 < row.predicted_dist[2] < 1e-3
    assert math.isfinite(results(tmp_path / "sharp").metrics["kl"].value)


def test_names_are_scored_as_tokens_of_the_prompt_where_the_server_can(words: Words, tmp_path: Path) -> None:
    chances = {" entailment": 0.2, " neutral": 0.5, " contradiction": 0.1}
    with EndpointStub(scores=chances) as stub:
        assert evaluate.main(words(stub, *LOGITS)) == 0
    for row in rows(tmp_path / "out"):
        assert row.predicted_dist == pytest.approx((0.25, 0.625, 0.125))
        assert row.class_mass == pytest.approx(0.8)
    assert not stub.chats
    assert results(tmp_path / "out").parse_rate is None


def test_both_readouts_have_a_folder_and_a_table_each(words: Words, tmp_path: Path) -> None:
    with EndpointStub(scores={" entailment": 0.2, " neutral": 0.5, " contradiction": 0.1}) as stub:
        assert evaluate.main(words(stub, "--readout", "logits", "verbalised")) == 0
    assert [results(tmp_path / "out" / name).about.readout for name in ("logits", "verbalised")] == [
        "logits",
        "verbalised",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"logprobs": False}, "gives no log-probabilities: it gives none. Use --readout verbalised"),
        ({"refuses": "logprobs"}, "it refuses them: Unsupported parameter.*Use --readout verbalised"),
    ],
)
def test_log_probabilities_that_cannot_be_used_end_in_one_line(
    words: Words, settings: dict[str, Any], message: str
) -> None:
    with EndpointStub(write=lambda _: NAMED, **settings) as stub, pytest.raises(InputError, match=message):
        evaluate.main(words(stub, *LOGITS))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param((429, {"Retry-After": "0.05"}, '{"error": {"message": "slow down"}}'), id="429"),
        pytest.param((500, {}, '{"error": {"message": "broken"}}'), id="500"),
        pytest.param((200, {}, '{"choices": [{"message": {"con'), id="cut"),
        *(
            pytest.param(fault, id=name, marks=pytest.mark.slow)
            for name, fault in (
                ("503", (503, {}, "busy")),
                ("no choice", (200, {}, '{"choices": []}')),
                ("html", (200, {}, "<html>login</html>")),
                ("dropped", (0, {}, "")),
                ("slow", (1, {}, "")),
            )
        ),
    ],
)
def test_a_fault_is_tried_again_and_changes_no_number(words: Words, tmp_path: Path, fault: Any) -> None:
    with EndpointStub(write=by_pair) as stub:
        evaluate.main(words(stub))
    with EndpointStub(write=by_pair) as stub:
        stub.faults.extend([fault, fault])
        assert evaluate.main(words(stub, out="faulty")) == 0
    assert rows(tmp_path / "faulty") == rows(tmp_path / "out")


def test_a_server_that_stays_broken_ends_in_one_line_and_the_same_command_goes_on(
    words: Words, tmp_path: Path
) -> None:
    stays_broken = pytest.raises(InputError, match=r"HTTP 500.*3 times.*same command goes on")
    with EndpointStub(write=by_pair, fails_after=3) as stub, stays_broken:
        evaluate.main(words(stub, "--retries", "2", "--concurrency", "1"))
    file = tmp_path / "out/answers.jsonl"
    assert len(file.read_text().splitlines()) == 3
    file.write_text(file.read_text() + '{"key": "broken off')
    with EndpointStub(write=by_pair) as stub:
        assert evaluate.main(words(stub)) == 0
        assert len(stub.chats) == len(rows(tmp_path / "out")) - 3
        before = len(stub.asked)
        assert evaluate.main(words(stub)) == 0
        assert len(stub.asked) == before, "a second run costs nothing"
    found = results(tmp_path / "out")
    assert evaluate.main(words(stub)) == 0, "and needs no server"
    assert results(tmp_path / "out").metrics == found.metrics
    assert results(tmp_path / "out").about.tokens_charged == found.about.tokens_charged


def test_another_question_is_not_answered_by_the_folder(words: Words) -> None:
    with EndpointStub(write=by_pair) as stub:
        evaluate.main(words(stub))
        before = len(stub.chats)
        evaluate.main(words(stub, "--setting", "seed=1"))
        assert len(stub.chats) == 2 * before
    assert stub.chats[-1]["seed"] == 1


@pytest.mark.parametrize(
    "cap",
    [["--max-tokens-total", "2000"], ["--max-cost-usd", "0.002", "--price-text-in", "1", "--price-out", "1"]],
)
def test_no_call_is_made_that_could_exceed_the_cap(words: Words, tmp_path: Path, cap: list[str]) -> None:
    with EndpointStub(write=by_pair) as stub:
        with pytest.raises(
            InputError, match=rf"{cap[0]} .* is reached: .*Raise it\. The answers so far are kept"
        ):
            evaluate.main(words(stub, *cap, "--max-new-tokens", "64"))
        asked = len(stub.chats)
        assert 0 < asked < 8
        with pytest.raises(InputError, match="is reached"):
            evaluate.main(words(stub, *cap, "--max-new-tokens", "64"))
        assert len(stub.chats) == asked, "what was spent counts again"
    kept = [json.loads(line) for line in (tmp_path / "out/answers.jsonl").read_text().splitlines()]
    assert sum(row["usage"]["prompt"] + row["usage"]["completion"] for row in kept) <= 2000


def test_calls_whose_tokens_are_not_counted_count_at_their_worst(words: Words, tmp_path: Path) -> None:
    with EndpointStub(usage=False) as stub:
        assert evaluate.main(words(stub)) == 0
    found = results(tmp_path / "out")
    assert found.about.tokens_charged is not None and found.about.tokens_charged > 1000 * found.items
    assert any("did not count" in note for note in found.notes)


def test_the_key_is_sent_and_is_in_no_file_and_no_line(
    words: Words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with EndpointStub(key="sk-very-secret") as stub:
        assert evaluate.main(words(stub)) == 0
        monkeypatch.setenv("OTHER", "sk-very-wrong")
        with pytest.raises(
            InputError, match=r"does not accept the key of OTHER.*\[key\].*Set the env"
        ) as error:
            evaluate.main(words(stub, "--api-key-env", "OTHER", out="other"))
    assert stub.headers[0]["Authorization"] == "Bearer sk-very-secret"
    printed = capsys.readouterr()
    everything = printed.out + printed.err + str(error.value)
    everything += "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "sk-very" not in everything


def test_a_wrong_model_is_named_with_those_that_there_are(words: Words) -> None:
    with EndpointStub() as stub, pytest.raises(InputError, match=r"knows no 'wrong'.*It has right-model"):
        evaluate.main([*words(stub), "--model", "wrong"])


def test_a_server_is_asked_in_the_form_that_it_takes(words: Words, tmp_path: Path) -> None:
    with EndpointStub(refuses="temperature") as stub:
        assert evaluate.main(words(stub)) == 0
        assert "temperature" not in stub.chats[-1]
        before = len(stub.asked)
        assert evaluate.main(words(stub)) == 0
        assert len(stub.asked) == before, "what it refused is kept, too"
    assert any("takes no temperature" in note for note in results(tmp_path / "out").notes)
    with EndpointStub(refuses="max_tokens") as stub:
        assert evaluate.main(words(stub, out="o")) == 0
    assert "max_completion_tokens" in stub.chats[-1]


def test_a_server_that_is_not_there_is_no_long_wait(words: Words) -> None:
    with EndpointStub() as stub:
        command = words(stub)
    with pytest.raises(InputError, match=r"--endpoint: no answer at .*refused.*Does the server run there"):
        evaluate.main(command)


def test_items_are_asked_at_once_and_the_rate_is_kept(words: Words) -> None:
    with EndpointStub(latency_s=0.05) as stub:
        evaluate.main(words(stub, "--concurrency", "4"))
        assert 2 <= stub.most_at_once <= 4


def test_a_used_up_quota_and_a_redirection_end_at_once(words: Words) -> None:
    with EndpointStub() as stub:
        stub.faults.append((429, {}, '{"error": {"message": "You exceeded your current quota"}}'))
        with pytest.raises(InputError, match="quota is used up"):
            evaluate.main(words(stub))
    with EndpointStub() as stub:
        stub.faults.append((307, {"Location": "http://127.0.0.1:9/"}, ""))
        with pytest.raises(InputError, match="HTTP 307"):
            evaluate.main(words(stub, out="o"))


def test_a_folder_is_one_commands_at_a_time_and_keeps_what_is_not_its_own(
    words: Words, tmp_path: Path
) -> None:
    is_taken = pytest.raises(InputError, match="another evaluate writes to")
    with EndpointStub() as stub, Answers(tmp_path / "out"), is_taken:
        evaluate.main(words(stub))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/answers.jsonl").write_text("my notes\n")
    with EndpointStub() as stub, pytest.raises(InputError, match=r"answers\.jsonl"):
        evaluate.main(words(stub, out="mine"))
    assert (tmp_path / "mine/answers.jsonl").read_text() == "my notes\n"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--policy", "x.yaml"], "--policy: is about a policy"),
        (["--samples", "4"], "--samples: is about a policy"),
        (["--readout", "sampled"], "sampled labels are not asked for"),
        (["--max-cost-usd", "1"], "--price-text-in and --price-out missing"),
        (
            ["--max-cost-usd", "0", "--price-text-in", "1", "--price-out", "1"],
            "--max-cost-usd: must be above 0",
        ),
        (["--price-out", "-1"], "--price-out: must be at least 0"),
        (["--concurrency", "0"], "--concurrency: must be at least 1"),
        (["--setting", "temperature"], "--setting: expected KEY=VALUE"),
        (["--setting", "stream=true"], "--setting: stream is set by the evaluation"),
        (["--api-key-env", "NOT_THERE"], "NOT_THERE is not set"),
        (["--endpoint", "localhost:1"], "--endpoint: not an address"),
        (["--prompt", "nope"], "no prompt 'nope'"),
        (["--timeout", "nan"], "--timeout: must be above 0"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_sent(words: Words, more: list[str], message: str) -> None:
    with EndpointStub() as stub:
        with pytest.raises(InputError, match=message):
            evaluate.main([*words(stub), *more])
        assert stub.asked == []


@pytest.mark.parametrize("option", [["--model", "m"], ["--max-cost-usd", "1"], ["--confirm-upload"]])
def test_an_option_of_endpoints_without_one_is_refused(option: list[str], tmp_path: Path) -> None:
    words = ["--policy", "configs/policy/tiny.yaml", "--corpus", "demo", "--out", str(tmp_path)]
    with pytest.raises(InputError, match=f"{option[0]}: goes with --endpoint"):
        evaluate.main([*words, *option])
