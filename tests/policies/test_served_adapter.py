"""The adapter that a server is given: PEFT's files, with the decoder's matrices alone."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from small_model import MakePolicy, nudge

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.served_adapter import check_served, write_served_adapter


def test_its_matrices_are_those_that_peft_saves(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy(rank=4, alpha=12.0, projector=True, audio_tower=True)
    nudge(policy)
    check_served(policy)
    served = load_file(write_served_adapter(policy, tmp_path / "served") / "adapter_model.safetensors")
    policy.save(tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / "adapter_model.safetensors")
    beside = {name for name in saved if "audio_tower" in name or "projector" in name}
    assert beside
    assert served.keys() == saved.keys() - beside
    for name, value in served.items():
        assert torch.equal(value, saved[name]), name
    settings = json.loads((tmp_path / "served" / "adapter_config.json").read_text())
    assert (settings["r"], settings["lora_alpha"], settings["modules_to_save"]) == (4, 12.0, None)


@torch.no_grad()
def test_peft_computes_with_it_what_the_policy_computes(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy()
    nudge(policy)
    folder = write_served_adapter(policy, tmp_path / "served")
    ids = torch.tensor([policy.text_ids(" the voice is calm")])
    own = policy.base(input_ids=ids).logits
    other = PeftModel.from_pretrained(make_policy().model.unload(), folder)
    other.eval()
    torch.testing.assert_close(other(input_ids=ids).logits, own)
    assert float((make_policy().base(input_ids=ids).logits - own).abs().max()) > 0.01


@pytest.mark.parametrize(
    ("setting", "value"), [("use_dora", True), ("rank_pattern", {"q_proj": 2}), ("bias", "all")]
)
def test_what_is_more_than_a_pair_of_matrices_is_refused(
    make_policy: MakePolicy, setting: str, value: object
) -> None:
    policy: Tiny = make_policy()
    setattr(policy.model.peft_config["default"], setting, value)
    with pytest.raises(
        InputError, match=rf"a server takes no adapter with {setting}.*Leave model.engine out"
    ):
        check_served(policy)


def test_a_quantised_base_is_refused(make_policy: MakePolicy) -> None:
    policy = make_policy()
    policy.quantize = "nf4"
    with pytest.raises(InputError, match=r"policy.quantize is nf4, in a packing of this project"):
        check_served(policy)
