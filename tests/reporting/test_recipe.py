"""Which row of a paper's table a configuration is."""

from typing import Any

import pytest
import yaml

from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.reporting.reading.recipe import METHODS, family_of, method_named, method_of

PRESETS = {
    "lalm/iemocap_sft": "sft",
    "lalm/iemocap_sft_kl_only": "sft_kl_only",
    "lalm/iemocap_sft_ce_only": "sft_ce_only",
    "lalm/crema_d_dpo": "dpo",
    "lalm/crema_d_dpo_ce_only": "dpo_ce_only",
    "lalm/crema_d_grpo": "grpo",
    "lalm/crema_d_grpoz": "grpoz",
    "shala/chaosnli_mls": "mls",
    "shala/chaosnli_shala_wo": "shala_wo",
    "shala/chaosnli_shala": "shala",
    "shala/chaosnli_shala_batch": "shala_batch",
}


@pytest.mark.parametrize(("name", "method"), PRESETS.items())
def test_every_preset_of_the_papers_is_its_row(name: str, method: str) -> None:
    preset = f"--config={config_folder() / 'paper' / f'{name}.yaml'}"
    resolved = parse([preset, "--data.corpus.root=somewhere"]).resolved()
    assert method_of(yaml.safe_load(resolved)) == method


@pytest.mark.parametrize("model", [{}, {"class_path": "mine.New", "init_args": {}}])
def test_what_no_rule_knows_is_other(model: dict[str, Any]) -> None:
    assert method_of({"model": model}) == "other"


def test_a_row_is_named_by_its_key_or_its_label() -> None:
    assert method_named("shala_wo", where="--row") == "shala_wo"
    assert method_named("SHALA-LLM (w/o ambi-en)", where="--row") == "shala_wo"
    with pytest.raises(InputError, match="--row: unknown row 'SFTT': expected one of zero_shot, "):
        method_named("SFTT", where="--row")
    assert len({label.casefold() for label in METHODS.values()}) == len(METHODS)


def test_runs_of_one_family_differ_in_fold_name_and_member_of_their_start_only() -> None:
    def config(fold: int, rate: float, start: str) -> dict[str, Any]:
        return {
            "model": {"class_path": "a.SFT", "init_args": {"rate": rate, "start": start}},
            "data": {"corpus": {"init_args": {"fold": fold}}},
            "run": {"name": f"r{fold}"},
        }

    assert family_of(config(0, 0.1, "runs/a-fold0")) == family_of(config(1, 0.1, "runs/a-fold1"))
    assert family_of(config(0, 0.1, "runs/a")) != family_of(config(0, 0.1, "runs/b"))
    assert family_of(config(0, 0.1, "a")) != family_of(config(0, 0.2, "a"))


def test_a_setting_that_changes_no_number_parts_no_family() -> None:
    """A run of an older version lacks newer settings, and a run of another machine may load with other workers."""
    older: dict[str, Any] = {"policy": {"init_args": {"path": "a"}}, "data": {"workers": 0, "limit": 1}}
    newer: dict[str, Any] = {
        "policy": {"init_args": {"path": "a", "audio_layers": "last"}},
        "data": {"limit": 1},
    }
    other: dict[str, Any] = {
        "policy": {"init_args": {"path": "a", "audio_layers": [0]}},
        "data": {"limit": 1},
    }
    assert family_of(older) == family_of(newer) != family_of(other)
