"""Renamed keys are read under their old names, and make no other run."""

from pathlib import Path

import pytest
import yaml

from lalm_ambig.config import renamed
from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.config.identity import identity_of
from lalm_ambig.core.errors import InputError

PRESET = f"--config={config_folder() / 'preset/demo_grpo.yaml'}"
DPO = f"--config={config_folder() / 'preset/demo_dpo.yaml'}"


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    renamed._notice.cache_clear()


def test_an_older_run_s_configuration_is_the_same_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    today = parse([PRESET])
    older = yaml.safe_load(today.resolved())
    grouping = older["model"]["init_args"]["grouping"]
    grouping["size"] = grouping.pop("group_size")
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(older))
    again = parse([f"--config={file}"])
    assert again.identity() == today.identity()
    assert again.resolved() == today.resolved()
    assert capsys.readouterr().err.count("model.grouping.size is now called model.grouping.group_size") == 1


@pytest.mark.parametrize("option", ["--model.grouping.size", "--model.init_args.grouping.size"])
def test_an_option_is_read_under_its_old_name(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse([PRESET, option, "3"]).model.grouping.group_size == 3
    assert parse([PRESET, f"{option}=5"]).model.grouping.group_size == 5
    assert "the old name is still read" in capsys.readouterr().err


def test_the_number_of_rollouts_of_dpo_is_its_group_size(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("model:\n  init_args:\n    negatives: {rollouts: 7}\n")
    assert parse([DPO, f"--config={file}"]).model.negatives.group_size == 7


@pytest.mark.parametrize(("value", "told"), [(0.0, False), (0.3, True)])
def test_a_setting_that_is_gone_is_read_over_and_makes_no_other_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float, told: bool
) -> None:
    today = parse([PRESET])
    older = yaml.safe_load(today.resolved())
    older["policy"]["init_args"]["audio_dropout"] = value
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(older))
    again = parse([f"--config={file}"])
    assert again.identity() == today.identity()
    assert ("policy.audio_dropout is read over" in capsys.readouterr().err) == told


def test_both_names_in_one_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("model:\n  init_args:\n    grouping: {size: 3, group_size: 4}\n")
    with pytest.raises(InputError, match="size and group_size are one setting, and both are given"):
        parse([PRESET, f"--config={file}"])


def test_other_documents_are_left_as_they_are() -> None:
    document = {"grouping": {"size": 3}, "data": {"size": 4}, 1: 2}
    assert renamed.renamed_document(document) == {**document, "grouping": {"group_size": 3}}
    assert renamed.renamed_document(["size"]) == ["size"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model.grouping", '{"size": 4}'], ["--model.grouping", '{"group_size": 4}']),
        (["--model.grouping={size: 4, updates: 2}"], ['--model.grouping={"group_size": 4, "updates": 2}']),
        (
            ["--model.init_args.negatives", "{rollouts: 2}"],
            ["--model.init_args.negatives", '{"group_size": 2}'],
        ),
        (["--model", "{grouping: {size: 4}}"], ["--model", '{"grouping": {"group_size": 4}}']),
        (["--data.corpus", "{size: 4}", "--x={"], ["--data.corpus", "{size: 4}", "--x={"]),
    ],
)
def test_an_old_key_in_an_options_mapping_is_read(words: list[str], expected: list[str]) -> None:
    assert renamed.renamed_options(words) == expected


def test_a_renamed_key_counts_for_a_run_as_it_did_before() -> None:
    """Identities that older versions have written down were made of the first names."""

    def identity(key: str) -> str:
        return identity_of({"model": {"init_args": {"grouping": {key: 4}}}})

    assert identity("group_size") == identity("size") != identity("updates")
