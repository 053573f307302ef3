"""A short name is a file if it is written as one, else a class; and the demo is taken as a whole or not at all."""

from pathlib import Path

import pytest

from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder, default_files, in_order
from lalm_ambig.config.short_names import expanded, joined, option_groups
from lalm_ambig.config.spelling import spelled_document, spelled_options
from lalm_ambig.core.errors import InputError

FOLDER = config_folder()
THREE = ["--policy", "tiny", "--data", "demo", "--method", "sft_kl_only"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--policy", "tiny"], [f"--config={FOLDER}/policy/tiny.yaml"]),
        (["--policy=qwen2_audio"], [f"--config={FOLDER}/policy/qwen2_audio.yaml"]),
        (["--policy", "Qwen2Audio"], ["--policy=Qwen2Audio"]),
        (["--policy", "QWEN2_AUDIO"], ["--policy=QWEN2_AUDIO"]),
        (["--policy", "lalm_ambig.policies.tiny.Tiny"], ["--policy=lalm_ambig.policies.tiny.Tiny"]),
        (["--data", "crema_d"], [f"--config={FOLDER}/data/crema_d.yaml"]),
        (["--data", "CremaD"], ["--data.corpus=CremaD"]),
        (["--data", "{batch_size: 4}"], ["--data", "{batch_size: 4}"]),
        (["--method", "grpoz"], [f"--config={FOLDER}/method/grpoz.yaml"]),
        (["--method", "GRPO"], ["--model=GRPO"]),
        (["--model", "grpo"], ["--model", "grpo"]),
        (["--preset=paper/lalm/crema_d_grpoz"], [f"--config={FOLDER}/paper/lalm/crema_d_grpoz.yaml"]),
        (["--hardware", "one_24gb", "--test"], [f"--config={FOLDER}/hardware/one_24gb.yaml", "--test"]),
        (["--seeds", "0", "1", "--data.limit=3"], ["--seeds", "0", "1", "--data.limit=3"]),
        (["-c", str(FOLDER / "base.yaml")], [f"--config={FOLDER}/base.yaml"]),
    ],
)
def test_what_a_name_means(words: list[str], expected: list[str]) -> None:
    assert expanded(words) == expected
    assert expanded(expanded(words)) == expected, "the runs of a family are parsed again"


def test_a_path_is_found_in_the_package_where_it_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inside = [f"--config={FOLDER}/policy/tiny.yaml"]
    for words in (["--policy", "configs/policy/tiny.yaml"], ["--config", "configs/policy/tiny.yaml"]):
        assert expanded(words) == inside
    here = tmp_path / "own.yaml"
    here.write_text("policy: {class_path: Tiny}")
    assert expanded(["--policy", "own.yaml"]) == ["--config=own.yaml"]
    here.write_text("class_path: Tiny")
    assert expanded(["--policy", "own.yaml"]) == ["--policy=own.yaml"], "a file of this part alone"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--policy", "qwen2_adio"], r"no policy 'qwen2_adio': did you mean qwen2_audio\?"),
        (["--policy", "Qwen3Audio"], r"did you mean Qwen2Audio\?"),
        (["--data", "crema"], r"did you mean crema_d\?"),
        (["--method", "grpoo"], r"did you mean grpo\?"),
        (["--method", "kl"], r"no method 'kl'\. Expected one of dpo, .*, or a class: DPO, GRPO, SFT"),
        (["--preset", "demo_grp"], r"did you mean demo_grpo\? list presets shows all \d+"),
        (["--preset", "crema_d_grpoz"], r"did you mean paper/lalm/crema_d_grpoz\?"),
        (["--hardware", "one_24"], r"did you mean one_24gb\? There are eight_gpus, "),
        (["--model", "grpoz"], r"a file of configs/method, and no class: give --method grpoz"),
        (["--policy"], r"--policy: no name is given"),
        (["--preset", "--test"], r"--preset: no name is given"),
    ],
)
def test_a_wrong_name_is_one_line(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        expanded(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (
            ["--policy=Qwen2Audio"],
            r"no data and no method are chosen: add --data NAME \(chaosnli, .*--method NAME",
        ),
        (["--policy=tiny", "--data=demo"], "no method is chosen: add --method NAME"),
        (["--model=GRPO"], "no policy and no data are chosen"),
        (["--method=grpo", "--data=crema_d"], r"no policy is chosen: add --policy NAME \(audio_flamingo_3"),
        (["--hardware=one_24gb"], "no policy and no data and no method are chosen"),
        (["--policy.class_path=Tiny"], "no data and no method are chosen"),
    ],
)
def test_whoever_chooses_one_of_three_is_asked_for_the_others(words: list[str], missing: str) -> None:
    with pytest.raises(InputError, match=missing):
        parse(words)


def test_nothing_of_the_demo_is_in_a_run_that_chooses_its_parts() -> None:
    assert len(default_files([], ["--seed=3", "--data.limit", "4"])) == 2
    chosen = parse(THREE)
    assert (chosen.model.optimiser.learning_rate, chosen.config["trainer"].max_epochs) == (1e-4, 3)
    demo = parse(["--data.limit=4"])
    assert (demo.model.optimiser.learning_rate, demo.config["trainer"].max_epochs) == (1e-3, 5)
    with pytest.raises(
        InputError, match=r"model is set twice, to SFT by .*demo.yaml:\d+ and to GRPO by --model"
    ):
        parse(["--preset=demo", "--model=GRPO"])


def test_a_setting_may_stand_before_its_class() -> None:
    words = ["--policy.path=x", "--policy", "CausalLM", "--seed", "3", "-c", "a.yaml"]
    assert in_order(words) == ["-c", "a.yaml", "--policy", "CausalLM", "--policy.path=x", "--seed", "3"]
    settings = ["--policy={init_args: {seed: 1}}", "--policy.seed=2"]
    assert in_order(settings) == settings, "settings alone stay where they are"
    cli = parse(["--policy.path=x", "--policy=CausalLM", "--data=demo", "--method=sft"])
    assert cli.config["policy"].init_args.path == "x"


def test_null_is_taken_at_any_depth() -> None:
    words = ["--model.optimiser.projector_learning_rate", "null", "--model.optimiser.weight_decay=0.5"]
    optimiser = parse([*THREE, *words]).model.optimiser
    assert (optimiser.projector_learning_rate, optimiser.weight_decay) == (None, 0.5)


def test_both_spellings_on_the_command_line_and_in_yaml(tmp_path: Path) -> None:
    assert spelled_options(["--model.optimizer.learning_rate=1", "--model.readout", "verbalized", "--x"]) == [
        "--model.optimiser.learning_rate=1",
        "--model.readout",
        "verbalised",
        "--x",
    ]
    own = ["--model=own.Method", "--model.optimizer=x"]
    assert spelled_options(own) == own, "a class from elsewhere has names of its own"
    trainer = {"trainer": {"optimizer": 1}, "model": {"init_args": {"optimizer": {"learning_rate": 2}}}}
    assert spelled_document(trainer) == {
        "trainer": {"optimizer": 1},
        "model": {"init_args": {"optimiser": {"learning_rate": 2}}},
    }
    foreign = {"class_path": "own.Method", "init_args": {"optimizer": 1}}
    assert spelled_document(foreign) == foreign
    both = {"optimizer": 1, "optimiser": 2}
    assert spelled_document(both) == both, "which the parser refuses"
    file = tmp_path / "more.yaml"
    file.write_text(
        "model: {class_path: GRPO, init_args: {readout: verbalized, optimizer: {learning_rate: 0.5}}}"
    )
    model = parse(["--policy=tiny", "--data=demo", f"--config={file}", "--model.rewards=[Shala]"]).model
    assert (model.readout, model.optimiser.learning_rate) == ("verbalised", 0.5)


def test_groups_of_words_are_put_together_again() -> None:
    words = ["x", "--a=1", "2", "--b", "-1", "-c=f", "--"]
    assert [word for option, values in option_groups(words) for word in joined(option, values)] == words
