"""Short class names, and one class for the method, the policy and the corpus."""

from pathlib import Path

import pytest

from lalm_ambig.config.class_names import class_path_of
from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.base import Policy
from lalm_ambig.rewards.base import Reward

CONFIGS = config_folder()
SFT, GRPO, TINY, DEMO = (
    f"--config={CONFIGS / name}"
    for name in ("method/sft.yaml", "method/grpo.yaml", "policy/tiny.yaml", "data/demo.yaml")
)
PRESET = f"--config={CONFIGS / 'preset/demo_grpo.yaml'}"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("base", "name", "expected"),
    [
        (Method, "GRPO", "lalm_ambig.methods.grpo.GRPO"),
        (Method, "grpo", "lalm_ambig.methods.grpo.GRPO"),
        (Policy, "CausalLM", "lalm_ambig.policies.causal_lm.CausalLM"),
        (Policy, "causal_lm", "lalm_ambig.policies.causal_lm.CausalLM"),
        (Policy, "qwen2_5_omni", "lalm_ambig.policies.qwen2_5_omni.Qwen2_5Omni"),
        (Reward, "majority", "lalm_ambig.rewards.majority.MajorityLabel"),
        (Reward, "MajorityLabel", "lalm_ambig.rewards.majority.MajorityLabel"),
        (Corpus, "Crema_D", "lalm_ambig.corpora.crema_d.CremaD"),
        (Method, "Tiny", None),
        (Method, "os.system", None),
        (object, "GRPO", None),
    ],
)
def test_a_short_name_is_one_of_our_classes(base: type[object], name: str, expected: str | None) -> None:
    assert class_path_of(base, name) == expected


def test_short_names_are_taken_from_options_and_resolved_to_paths() -> None:
    cli = parse([PRESET, "--model.rewards=[shala, format]", "--model.readout=verbalised", "--policy=tiny"])
    assert "lalm_ambig.rewards.shala.Shala" in cli.resolved()
    assert "lalm_ambig.policies.tiny.Tiny" in cli.resolved()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            [TINY, DEMO, SFT, GRPO],
            r"model is set twice, to SFT by .*sft.yaml:\d and to GRPO by .*grpo.yaml:\d",
        ),
        (
            [TINY, DEMO, SFT, "--model=GRPO"],
            r"model is set twice, to SFT by .*sft.yaml:\d and to GRPO by --model",
        ),
        ([PRESET, "--data.corpus", "chaosnli"], "data.corpus is set twice, to Demo by .* ChaosNli by --data"),
        ([PRESET, SFT], "model is set twice, to GRPO by .*demo_grpo.yaml.*to SFT by .*sft.yaml"),
    ],
)
def test_two_classes_for_one_thing_are_refused(words: list[str], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as raised:
        parse(words)
    assert "Keep one of the two" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_of_a_part_and_a_run_s_configuration_count_too(tmp_path: Path) -> None:
    part, run = tmp_path / "part.yaml", tmp_path / "config.yaml"
    part.write_text("class_path: causal_lm\ninit_args: {path: x}\n")
    run.write_text(parse([PRESET]).resolved())
    with pytest.raises(InputError, match=r"to Tiny by .*demo_grpo.yaml.* to CausalLM by .*part.yaml:1"):
        parse([PRESET, f"--policy={part}"])
    with pytest.raises(InputError, match=r"to GRPO by .*config.yaml:\d+ and to SFT by .*sft.yaml"):
        parse([f"--config={run}", SFT])


def test_the_same_class_twice_merges(tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text(
        "model:\n  class_path: lalm_ambig.methods.grpo.GRPO\n  init_args: {grouping: {group_size: 3}}\n"
    )
    model = parse([PRESET, f"--config={more}", "--model=grpo"]).model
    assert (model.grouping.group_size, model.reasoning) == (3, True)


def test_a_class_by_itself_has_none_of_the_embedded_defaults_settings() -> None:
    model = parse(
        ["--model.optimiser.weight_decay=0.5", "--policy=tiny", "--data=demo", "--model=GRPO"]
    ).model
    assert type(model).__name__ == "GRPO"
    assert model.reasoning  # the demo's says false
