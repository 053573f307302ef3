"""Every method on every kind of item, and SFT on every corpus with every base model that fits: two steps each.

`make test` takes every corpus once, and every method once with every base model and every readout. `make test-all`
takes all combinations.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.methods.base import Method
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.grpo import GRPO, Grouping
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.dpo import DPOObjective
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import trained_parameters
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.format import Format
from lalm_ambig.rewards.shala import Shala
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.runs.session import connect

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{note}")
    for note in (
        ".*does not have many workers",
        ".*isinstance.treespec",
        ".*in eval mode at the start",
        ".*max_steps",
    )
]
AUDIO = ("crema_d", "demo", "iemocap", "msp_podcast")
TEXT = ("chaosnli", "goemotions", "lewidi")
PAIRS = [(c, p) for c in AUDIO for p in ("tiny", "qwen2_5_omni")]
PAIRS += [(c, p) for c in TEXT for p in ("causal_lm", "tiny", "qwen2_5_omni")]
QUICK_PAIRS = {(c, "tiny") for c in AUDIO} | {(c, "causal_lm") for c in TEXT}
QUICK_PAIRS |= {("demo", "qwen2_5_omni"), ("chaosnli", "tiny"), ("chaosnli", "qwen2_5_omni")}
OpenSmall = Callable[[str], Corpus]
MakePolicy = Callable[[str], Policy]
RATE = Optimiser(learning_rate=1e-3)
SHORT = Generation(max_new_tokens=4, validation_items=2)
SAMPLING = Sampling(max_new_tokens=6)
METHODS: dict[str, dict[str, Any]] = {
    "dpo": {"cls": DPO, "negatives": Negatives(group_size=2, js_threshold=0.0), "sampling": SAMPLING},
    "grpo": {"cls": GRPO, "grouping": Grouping(group_size=3), "sampling": SAMPLING},
    "grpoz": {
        "cls": GRPO,
        "grouping": Grouping(group_size=2, updates=2),
        "curated": CuratedTrajectory(),
        "sampling": SAMPLING,
    },
}


VERBALISED: dict[str, dict[str, Any]] = {
    "sft": {"objective": SFTObjective(1.0, 0.0)},
    "dpo": {"objective": DPOObjective(kl_weight=0.0)},
    "grpo": {"rewards": [Shala(), Format(weight=0.1)]},
    "grpoz": {"rewards": [Agreement(), Format()]},
}
"""What each method needs beside for a distribution in words."""
OWN: dict[str, dict[str, Any]] = {
    "sft": {"objective": SFTObjective(on_policy_kl_weight=1.0, class_mass_weight=0.5), "sampling": SAMPLING},
    "dpo": {"objective": DPOObjective(on_policy_kl_weight=1.0, class_mass_weight=0.5)},
    "grpo": {
        "objective": GRPOObjective(on_policy_kl_weight=1.0, class_mass_weight=0.5, curated_ce_weight=0.5),
        "grouping": Grouping(group_size=3, advantage_scale="leave_one_out", name_in_loss=True),
    },
    "grpoz": {"objective": GRPOObjective(on_policy_kl_weight=1.0, class_mass_weight=0.5)},
}
"""Each method with all that is learnt after own responses."""


def two_steps(
    method: Method,
    corpus: Corpus,
    folder: Path,
    *,
    precision: Any = "32-true",
    moves: float = 0.0,
    **settings: Any,
) -> dict[str, float]:
    """What was logged after two optimiser steps; checks that trained weights moved, most of them by that share."""
    data = DataModule(corpus, batch_size=2, **settings)
    torch.manual_seed(0)
    data = connect(method, data)
    method.prepare()
    before = {name: p.detach().clone() for name, p in trained_parameters(method.policy)}
    trainer = lightning.Trainer(
        max_steps=2,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        accelerator="cpu",
        precision=precision,
        default_root_dir=folder,
    )
    trainer.precision_plugin.convert_input = lambda batch: batch
    trainer.fit(method, datamodule=data)
    assert trainer.global_step == 2
    moved = [float((p != before[name]).float().mean()) for name, p in trained_parameters(method.policy)]
    assert any(moved)
    assert sum(share > moves for share in moved) > 0.9 * len(moved) or not moves
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "matrix-cache"))


def unless(quick: bool, *values: object) -> Any:
    return pytest.param(*values, marks=[] if quick else [pytest.mark.slow])


@pytest.mark.parametrize(("corpus", "policy"), [unless(pair in QUICK_PAIRS, *pair) for pair in PAIRS])
def test_kl_only_sft_on_every_corpus_with_every_base_model(
    corpus: str, policy: str, open_small: OpenSmall, make_small: MakePolicy, tmp_path: Path
) -> None:
    method = SFT(
        make_small(policy),
        objective=SFTObjective(0.0, 1.0),
        reasoning=False,
        optimiser=RATE,
        generation=SHORT,
    )
    logged = two_steps(method, open_small(corpus), tmp_path)
    assert 0 < logged["train/kl"] < 20
    assert logged["train/loss"] == pytest.approx(logged["train/kl"], rel=1e-5)


def with_rationales(path: Path, corpus: Corpus) -> Path:
    """A made-up rationale for every item."""
    rows = (f'{{"id": "{item.id}", "rationale": "the words are calm"}}\n' for item in corpus.read())
    path.write_text("".join(rows))
    return path


def built(name: str, policy: Policy, *, readout: Any, reasoning: bool, **more: Any) -> Method:
    words = VERBALISED[name] if readout == "verbalised" else {}
    settings = {"cls": SFT, **METHODS.get(name, {}), **words, **more}
    shared = {"optimiser": RATE, "generation": SHORT, "readout": readout, "reasoning": reasoning}
    return settings.pop("cls")(policy, **shared, **settings)  # type: ignore[no-any-return]


def parsed_somehow(text: str, categories: CategorySet) -> tuple[float, ...]:
    """A distribution that depends on the text."""
    weights = [1 + zlib.crc32(f"{text} {name}".encode()) % 97 for name in categories.names]
    return tuple(weight / sum(weights) for weight in weights)


WAYS = (("logits", True), ("verbalised", False), ("verbalised", True))
BASES = (("demo", "tiny"), ("crema_d", "qwen2_5_omni"), ("chaosnli", "causal_lm"))


@pytest.mark.parametrize(
    ("name", "readout", "reasoning", "corpus", "policy"),
    [
        unless((number + base - way) % 3 == 0, name, *WAYS[way], *BASES[base])
        for number, name in enumerate(["sft", *METHODS])
        for way in range(3)
        for base in range(3)
    ],
)
def test_every_method_with_either_readout_on_sound_and_on_text(
    name: str,
    readout: str,
    reasoning: bool,
    corpus: str,
    policy: str,
    open_small: OpenSmall,
    make_small: MakePolicy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name == "grpo":  # whose small models write nothing that could be read, so nothing would be learnt
        monkeypatch.setattr("lalm_ambig.rollouts.parsing.parse", parsed_somehow)
    opened = open_small(corpus)
    method = built(name, make_small(policy), readout=readout, reasoning=reasoning)
    rationales = None if corpus == "demo" else with_rationales(tmp_path / "rationales.jsonl", opened)
    logged = two_steps(method, opened, tmp_path, rationales=rationales)
    assert logged["train/loss"] == logged["train/loss"], "not a number"
    if name != "sft" and readout == "logits":
        assert 0 <= logged["train/rollouts/js_div_bits"] <= 1
    if name != "sft" and readout == "verbalised":
        assert 0 <= logged["train/rollouts/parsed"] <= 1
    if name == "dpo":
        assert logged["train/items_with_negative"] == 1
    if name == "grpoz":
        assert logged["train/curated_not_best"] == 0


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("corpus", "policy"),
    [
        ("demo", "tiny"),
        pytest.param("crema_d", "qwen2_5_omni", marks=pytest.mark.slow),
        pytest.param("chaosnli", "causal_lm", marks=pytest.mark.slow),
    ],
)
def test_every_method_learns_after_its_own_responses(
    name: str, corpus: str, policy: str, open_small: OpenSmall, make_small: MakePolicy, tmp_path: Path
) -> None:
    opened = open_small(corpus)
    method = built(name, make_small(policy), readout="logits", reasoning=True, **OWN[name])
    rationales = None if corpus == "demo" else with_rationales(tmp_path / "rationales.jsonl", opened)
    logged = two_steps(method, opened, tmp_path, rationales=rationales)
    assert logged["train/loss"] == logged["train/loss"]  # a number
    assert 0 < logged["train/on_policy_kl"] < 20
    assert 0 < logged["train/on_policy_class_mass"] < 1
    assert 0 < logged["train/class_mass"] < 1


@pytest.mark.parametrize(("corpus", "policy"), [("chaosnli", "text nf4"), ("demo", "omni int8")])
@pytest.mark.parametrize("readout", ["logits", unless(False, "verbalised")])
@pytest.mark.parametrize("name", ["sft", *METHODS])
def test_every_method_trains_beside_a_quantised_base(
    name: str,
    readout: str,
    corpus: str,
    policy: str,
    open_small: OpenSmall,
    make_small: MakePolicy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name == "grpo":
        monkeypatch.setattr("lalm_ambig.rollouts.parsing.parse", parsed_somehow)
    opened = open_small(corpus)
    method = built(name, make_small(policy), readout=readout, reasoning=True)
    rationales = with_rationales(tmp_path / "rationales.jsonl", opened)
    logged = two_steps(method, opened, tmp_path, rationales=rationales)
    assert logged["train/loss"] == logged["train/loss"]  # a number
    packed = [p for p in method.policy.parameters() if not p.is_floating_point()]
    assert packed and all(p.grad is None for p in packed)


def test_full_fine_tuning_moves_all_weights_at_the_papers_rate(
    open_small: OpenSmall, make_small: MakePolicy, tmp_path: Path
) -> None:
    """Steps of 1e-6 under bf16-mixed: in two bytes they would be rounded away, which is refused."""
    method = SFT(
        make_small("text full"),
        objective=SFTObjective(0.0, 1.0),
        reasoning=False,
        optimiser=Optimiser(learning_rate=1e-6, warmup_share=0.0),
    )
    two_steps(method, open_small("chaosnli"), tmp_path, precision="bf16-mixed", moves=0.05)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        unless(policy == "tiny beside" or name == "grpoz", name, policy)
        for name in ["sft", *METHODS]
        for policy in ["tiny beside", "omni beside"]
    ],
)
def test_every_method_trains_a_side_path(
    name: str, policy: str, open_small: OpenSmall, make_small: MakePolicy, tmp_path: Path
) -> None:
    corpus = open_small("demo")
    method = built(name, make_small(policy), readout="logits", reasoning=True)
    rationales = with_rationales(tmp_path / "rationales.jsonl", corpus)
    logged = two_steps(method, corpus, tmp_path, rationales=rationales)
    assert logged["train/loss"] == logged["train/loss"]  # a number
    assert isinstance(method.policy, AudioModel)
    assert bool(method.policy.side_path.weight.any())  # it started at zero
