"""A chat template that opens a thought: what is taught, sampled, read and paid for goes on from it, or it is closed."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from scripted import say
from small_model import MakeEncoder, MakePolicy

from lalm_ambig.core.types import Groups, Item
from lalm_ambig.corpora.crema_d.votes import CATEGORIES
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.policies.chat.chat import Chat
from lalm_ambig.policies.tiny import CHAT_TEMPLATE, Tiny
from lalm_ambig.readouts.response import TAGS
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.parsing import read_stated
from lalm_ambig.rollouts.reading import read_curated, read_generated
from lalm_ambig.rollouts.sampling import Sampling

OPEN = "<|im_start|>assistant\n<think>\n"
CLOSED = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
JSON = '{"anger": 0.5, "fear": 0.5}'


def thinking(policy: Tiny, written: str = "<think>\\n") -> Tiny:
    """The policy with a chat template that opens a thought."""
    head, end = CHAT_TEMPLATE.rsplit("assistant\\n", 1)
    policy.tokenizer.chat_template = f"{head}assistant\\n{written}{end}"
    policy.chat = Chat(policy.tokenizer, "tiny", hears=True)
    policy.tags = policy.chat.tags(TAGS)
    return policy


@pytest.fixture
def policy(make_policy: MakePolicy) -> Tiny:
    return thinking(make_policy())


def prompt_of(encoder: Encoder, item: Item) -> str:
    return str(encoder.policy.tokenizer.decode(encoder([item]).prompt.ids[0]))


def taught(encoder: Encoder, item: Item) -> str:
    curated = encoder([item]).curated
    assert curated is not None
    return str(encoder.policy.tokenizer.decode(curated.response.ids[0]))


def sampled(encoder: Encoder, items: Sequence[Item], texts: Sequence[str]) -> Groups:
    with pytest.MonkeyPatch.context() as patch:
        say(encoder.policy, patch, texts)  # type: ignore[arg-type]
        draw = GroupSampling(Sampling(max_new_tokens=90), group_size=len(texts), step=0)
        return sample_groups(encoder, encoder(items[:1]), draw)


def test_prompts_and_curated_responses_fit_together(
    policy: Tiny, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    reasoning, direct = make_encoder(policy), make_encoder(policy, reasoning=False)
    assert prompt_of(reasoning, items[0]).endswith(OPEN)
    assert taught(reasoning, items[0]) == f"{items[0].rationale}</think><answer> neutral</answer><|im_end|>"
    assert prompt_of(direct, items[0]).endswith(CLOSED)
    assert taught(direct, items[0]) == "<answer> neutral</answer><|im_end|>"
    reasoned = make_encoder(policy, readout="verbalised")
    assert prompt_of(reasoned, items[0]).endswith(OPEN)
    assert taught(reasoned, items[0]).startswith(f"{items[0].rationale}</think>\n{{")
    stated = make_encoder(policy, reasoning=False, readout="verbalised")
    assert prompt_of(stated, items[0]).endswith(CLOSED)
    assert taught(stated, items[0]).startswith("{")


def test_the_tags_that_are_asked_for_are_the_templates(
    make_policy: MakePolicy, items: Sequence[Item]
) -> None:
    policy = thinking(make_policy(), "[THINK]")
    encoder = Encoder(policy, CATEGORIES, Elicitation("speech_emotion", reasoning=True))
    assert "[THINK] … [/THINK]" in prompt_of(encoder, items[0])
    assert taught(encoder, items[0]).startswith(f"{items[0].rationale}[/THINK]<answer>")


def test_the_form_pays_for_the_right_continuation(
    policy: Tiny, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    texts = [
        "it is soft</think><answer> anger</answer>",
        "<think>it is soft</think><answer> anger</answer>",
        "it is soft<answer> anger</answer>",
        "</think><answer> anger</answer>",
    ]
    groups = sampled(make_encoder(policy), items, texts)
    assert groups.well_formed[0].tolist() == [True, False, False, False]
    assert groups.was_completed[0].tolist() == [False, False, True, False]


def test_an_answer_inside_an_open_thought_is_not_read(
    policy: Tiny, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    early = "I write <answer> fear</answer> later"
    texts = [f"{early}</think><answer> anger</answer>", early, "the voice</think><answer", ""]
    encoder = make_encoder(policy)
    groups = sampled(encoder, items, texts)
    assert groups.texts[0][0] == texts[0], "it goes on to the answer that counts"
    assert groups.was_completed[0].tolist() == [False, True, True, True]
    assert groups.is_answer_token[0].sum(-1).tolist() == [1, 0, 0, 0]
    batch, answer = encoder(items[:1]), encoder.answer
    assert answer is not None
    ends = [
        f"{early}</think><answer>",
        f"{early}</think><answer>",
        "the voice</think><answer>",
        "</think><answer>",
    ]
    for k, text in enumerate(ends):
        with pytest.MonkeyPatch.context() as patch:
            say(policy, patch, [texts[k]])
            reading = read_generated(policy, batch, answer, max_new_tokens=90)
        assert reading.responses == (text,)
        torch.testing.assert_close(
            groups.predicted_dist[0, k], reading.predicted_dist[0], atol=1e-5, rtol=1e-4
        )


def test_a_token_that_joins_the_answers_tag_and_more_is_looked_for_behind_the_thought(
    policy: Tiny, make_encoder: MakeEncoder, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, plain = make_encoder(policy), policy.tokenizer.decode
    joined, before = "~", "I write <answer> fear</answer></think><answer"
    say(policy, monkeypatch, [before + joined])
    monkeypatch.setattr(policy.tokenizer, "decode", lambda ids: plain(ids).replace(joined, "> anger"))
    assert encoder.answer is not None
    reading = read_generated(policy, encoder(items[:1]), encoder.answer, max_new_tokens=90)
    assert reading.responses == (f"{before}>",)
    assert not reading.was_completed[0]


def test_an_answer_asked_for_at_once_closes_the_thought(
    policy: Tiny, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    for reasoning, said in ((True, "</think><answer>"), (False, "<answer>")):
        encoder = make_encoder(policy, reasoning=reasoning)
        assert encoder.answer is not None
        reading = read_generated(policy, encoder(items[:1]), encoder.answer, max_new_tokens=0)
        assert reading.responses == (said,)
    assert read_curated(policy, make_encoder(policy)(items[:1]), encoder.answer).responses == (
        f"{items[0].rationale}</think><answer>",
    )


@pytest.mark.parametrize(
    ("text", "reason", "formed"),
    [
        (f"hm</think>\n{JSON}", None, True),
        (f"hm {{}} {JSON}</think>\n\n{JSON}", None, True),
        (f"hm</think>so: {JSON}", None, True),
        (f"</think>{JSON}", None, False),
        (f"hm</think>{JSON} done", None, False),
        (f"hm {JSON}", "no object", False),
        (f"hm {JSON}</think>", "no object", False),
        ("hm", "no object", False),
    ],
)
def test_a_distribution_is_stated_behind_the_thought(
    policy: Tiny,
    make_encoder: MakeEncoder,
    items: Sequence[Item],
    text: str,
    reason: str | None,
    formed: bool,
) -> None:
    encoder = make_encoder(policy, readout="verbalised")
    groups = sampled(encoder, items, [text])
    assert groups.unparsed == ((reason,),)
    assert groups.well_formed.tolist() == [[formed]]
    with pytest.MonkeyPatch.context() as patch:
        say(policy, patch, [text])
        assert read_stated(encoder, encoder(items[:1]), max_new_tokens=90).unparsed == (reason,)


def test_a_thought_that_a_model_opens_of_its_own_accord_is_no_answer_either(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    encoder = make_encoder(make_policy(), readout="verbalised")
    texts = [f"<think>hm {JSON}", f"<think>hm {JSON}</think>{JSON}", f"hm <think> {JSON}"]
    groups = sampled(encoder, items, texts)
    assert groups.unparsed == (("no object", None, None),)
    assert groups.well_formed.tolist() == [[False, True, True]]


def test_reasoning_behind_a_closed_thought_has_other_tags(
    make_policy: MakePolicy, items: Sequence[Item]
) -> None:
    policy = thinking(make_policy(), "<think>\\n\\n</think>\\n\\n")
    encoder = Encoder(policy, CATEGORIES, Elicitation("speech_emotion", reasoning=True))
    assert prompt_of(encoder, items[0]).endswith(CLOSED)
    assert "<reasoning> … </reasoning>" in prompt_of(encoder, items[0])
    start = f"<reasoning>{items[0].rationale}</reasoning><answer>"
    assert taught(encoder, items[0]).startswith(start)
    bare = replace(items[0], rationale=None)
    direct = Encoder(policy, CATEGORIES, Elicitation("speech_emotion", reasoning=False))
    assert prompt_of(direct, bare).endswith(CLOSED)
