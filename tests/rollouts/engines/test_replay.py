"""An engine's tokens become the response that the policy's own decode loop makes of them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from scripted import say
from small_model import MakeEncoder, MakePolicy

from lalm_ambig.core.types import Item
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.readouts.response import TAGS
from lalm_ambig.rollouts.engines.replay import Replay
from lalm_ambig.rollouts.generate import Request, Response, generate
from lalm_ambig.rollouts.sampling import Sampling, uniform_noise

TEXTS = (
    "<think>the voice is calm</think><answer> fear</answer>",
    "<think>loud</think><answer> anger and much more of it</answer>",
    "the words",
    "<answer> sadness</answer>",
    "<think>so</think><answer>",
    "<think>so</th",
    "<think>a</think><answer><answer> fear",
    "",
)


def compared(row: Response) -> dict[str, object]:
    """What must be equal. A loop may count its last token, which it has not fed to the model, to the closing."""
    values = {name: value for name, value in vars(row).items() if name not in ("prefix", "closing")}
    return values | {"to the answer": [*row.ids[: row.prefix], *row.closing]}


def after(
    policy: Tiny, request: Request, rows: Sequence[Response], extra: Sequence[int] = ()
) -> list[Response]:
    replay = Replay(policy, request)
    found = [
        replay.response([*r.ids, *extra], [*r.log_probs, *(0.0 for _ in extra)], limit=r.limit) for r in rows
    ]
    assert all(row is not None for row in found)
    return [row for row in found if row is not None]


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("limit", [5, 14, 40])
@pytest.mark.parametrize("beyond", [None, 2])
def test_scripted_responses_are_the_loops_own(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    items: Sequence[Item],
    monkeypatch: pytest.MonkeyPatch,
    opened: bool,
    limit: int,
    beyond: int | None,
) -> None:
    policy = make_policy()
    batch = make_encoder(policy)(items[:1])
    say(policy, monkeypatch, TEXTS)
    request = Request(
        Sampling(max_new_tokens=limit),
        group_size=len(TEXTS),
        stop=("</answer>",),
        anchor="<answer>",
        max_tokens_after_anchor=beyond,
        tags=replace(TAGS, opened=opened),
    )
    loop = generate(policy, batch, request, noise=torch.zeros(len(TEXTS), limit)).responses
    assert {row.ended for row in loop} >= ({"end"} if limit == 40 else {"length"})
    assert [compared(r) for r in after(policy, request, loop)] == [compared(r) for r in loop]
    longer = after(
        policy, request, [replace(r, ids=list(r.ids)) for r in loop], extra=policy.text_ids(" fear fear")
    )
    assert [compared(r) for r in longer] == [compared(r) for r in loop], "what comes after the end is cut off"


def test_sampled_responses_are_the_loops_own(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    policy = make_policy()
    batch = make_encoder(policy)(items)
    noise = uniform_noise([item.id for item in items], seed=3, step=1, group_size=4, tokens=30)
    for request in (
        Request(Sampling(max_new_tokens=30), group_size=4),
        Request(Sampling(max_new_tokens=30), group_size=4, stop=(" a", " is"), anchor=" the"),
    ):
        loop = generate(policy, batch, request, noise=noise).responses
        assert [compared(r) for r in after(policy, request, loop)] == [compared(r) for r in loop]


def test_tokens_that_break_off_make_no_response(tiny: Tiny) -> None:
    ids = tiny.text_ids("<think>calm")
    replay = Replay(tiny, Request(Sampling(max_new_tokens=30), stop=("</answer>",), anchor="<answer>"))
    assert replay.response(ids, [0.0] * len(ids), limit=30) is None
    assert replay.response(ids, [0.0] * len(ids), limit=len(ids)) is not None
