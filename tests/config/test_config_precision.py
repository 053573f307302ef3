"""Types of weights and precisions of the trainer: each pair runs, or is refused before anything is loaded."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console
from test_cli import CONFIGS, EVERY_FILE, shipped
from transformers import AutoModelForCausalLM, LlamaConfig

from lalm_ambig.config.cli import parse
from lalm_ambig.config.precision import check_precision, precision_notes
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluate import main as evaluate
from lalm_ambig.fit import train
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.tiny import CHAT_TEMPLATE, WORDS, build, make_tokenizer
from lalm_ambig.policies.weights import quantised_base
from lalm_ambig.policies.weights.lora import Adapter

DTYPES = ("float32", "bfloat16", "float16")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true")
RUN_ON_A_CPU = {(dtype, precision) for dtype in DTYPES[:2] for precision in PRECISIONS[:3]} | {
    ("float16", "32-true")
}
RUN_ON_A_GPU = (RUN_ON_A_CPU | {("float16", "16-mixed")}) - {("bfloat16", "16-mixed")}
QUICK = {("float32", "bf16-mixed"), ("bfloat16", "32-true")}
GRID = [(dtype, precision) for dtype in DTYPES for precision in PRECISIONS]


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "llama"
    tokenizer = make_tokenizer(WORDS.read_text().split())
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=2048,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    rows: list[dict[str, Any]] = [{"categories": ["anger", "sadness"]}]
    rows += [
        {"id": f"t{n}", "text": f"voice {n}", "votes": {"anger": n % 3, "sadness": 1}} for n in range(40)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def text_run(model: Path, corpus: Path, *options: str) -> list[str]:
    files = [
        CONFIGS / "policy/causal_lm.yaml",
        CONFIGS / "data/jsonl.yaml",
        CONFIGS / "method/sft_kl_only.yaml",
    ]
    return [
        *(f"--config={file}" for file in files),
        f"--policy.path={model}",
        f"--data.corpus.root={corpus}",
        "--data.prompt=text_emotion",
        *SMALL,
        *options,
    ]


SMALL = (
    "--trainer.max_steps=2",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--data.batch_size=2",
    "--data.eval_batch_size=4",
    "--data.limit=4",
)


def policy_at(folder: Path, dtype: Any, method: Any = "lora") -> CausalLM:
    return CausalLM(str(folder), dtype=dtype, adapter=Adapter(method=method))


def trainer(precision: Any, accelerator: str = "cpu", strategy: str = "auto") -> dict[str, Any]:
    return {"precision": precision, "accelerator": accelerator, "strategy": strategy}


@pytest.mark.filterwarnings("ignore")  # Lightning's, which a command silences
@pytest.mark.parametrize(
    ("dtype", "precision"),
    [pytest.param(*pair, marks=[pytest.mark.slow] if pair in RUN_ON_A_CPU - QUICK else []) for pair in GRID],
)
def test_a_pair_trains_and_evaluates_or_is_refused_in_one_line(
    text_model: Path, corpus: Path, tmp_path: Path, dtype: str, precision: str
) -> None:
    pair = (f"--policy.dtype={dtype}", f"--trainer.precision={precision}", f"--run.root={tmp_path}")
    arguments = text_run(text_model, corpus, *pair)
    if (dtype, precision) not in RUN_ON_A_CPU:
        with pytest.raises(InputError, match=r"does not go with|would round targets") as raised:
            train(arguments, Console(quiet=True))
        assert "\n" not in str(raised.value)
        assert not list(tmp_path.iterdir())
        return
    run = train(arguments, Console(quiet=True))
    found = [
        json.loads((run.evaluation(name, "validation") / "metrics.json").read_text())
        for name in ("base", "trained")
    ]
    values = [value for results in found for value in _numbers(results)]
    assert len(values) > 10
    assert all(math.isfinite(value) for value in values)


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _numbers(inner)]
    return [value] if isinstance(value, float) else []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_pair_on_sound_evaluates_or_is_refused(
    cache_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dtype: str, precision: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    policy = tmp_path / "policy.yaml"
    settings = {"path": str(build(0)), "dtype": dtype}
    kind = "lalm_ambig.policies.qwen2_audio.Qwen2Audio"
    policy.write_text(yaml.safe_dump({"policy": {"class_path": kind, "init_args": settings}}))
    out = tmp_path / "out"
    options = ["--corpus", "demo", "--limit", "2", "--split", "validation", "--out", str(out)]
    arguments = ["--policy", str(policy), *options, "--precision", precision]
    if (dtype, precision) in RUN_ON_A_CPU:
        evaluate(arguments)
        assert json.loads((out / "metrics.json").read_text())
        return
    with pytest.raises(InputError, match=r"does not go with|would round targets"):
        evaluate(arguments)
    assert not out.exists()


@pytest.mark.parametrize(
    ("dtype", "precision"), [pair for pair in GRID if "true" not in pair[1] or "32" in pair[1]]
)
@pytest.mark.parametrize(("accelerator", "run"), [("cpu", RUN_ON_A_CPU), ("gpu", RUN_ON_A_GPU)])
def test_what_goes_together_depends_on_where_it_is_computed(
    text_model: Path, dtype: str, precision: str, accelerator: str, run: set[tuple[str, str]]
) -> None:
    policy, settings = policy_at(text_model, dtype), trainer(precision, accelerator)
    if (dtype, precision) in run:
        check_precision(policy, settings, training=True)
        return
    with pytest.raises(InputError, match=f"does not go with {dtype} weights. Set it to") as raised:
        check_precision(policy, settings, training=True)
    remedy = str(raised.value).partition("--trainer.precision ")[2].split()[0]
    check_precision(policy, trainer(remedy, accelerator), training=True)  # what is advised works
    other = str(raised.value).partition("--policy.dtype ")[2].split()[0]
    check_precision(policy_at(text_model, other), settings, training=True)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"dtype": "float16"}, "float16"),
        ({"dtype": None, "torch_dtype": "float16"}, "float16"),
        ({"dtype": None, "text_config": {"dtype": "float16"}}, "float16"),
        ({"dtype": None}, "float16"),  # as the weights are
    ],
)
def test_the_type_of_auto_is_read_from_the_checkpoint(
    text_model: Path, tmp_path: Path, settings: dict[str, Any], expected: str
) -> None:
    AutoModelForCausalLM.from_pretrained(text_model, dtype=torch.float16).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | settings
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    with pytest.raises(InputError, match=f"does not go with {expected} weights"):
        check_precision(policy_at(tmp_path, "auto"), trainer("bf16-mixed"), training=False)
    check_precision(
        policy_at(tmp_path, "auto", "full"), trainer("bf16-mixed"), training=True
    )  # read in float32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("strategy", ["auto", "ddp", "fsdp2"])
def test_full_fine_tuning_of_two_byte_weights_is_refused(text_model: Path, dtype: str, strategy: str) -> None:
    policy, settings = policy_at(text_model, dtype, "full"), trainer("32-true", strategy=strategy)
    with pytest.raises(
        InputError, match=f"full fine-tuning of {dtype} weights learns next to nothing.*float32"
    ):
        check_precision(policy, settings, training=True)
    check_precision(policy, settings, training=False)  # nothing is trained
    check_precision(policy_at(text_model, "float32", "full"), settings, training=True)
    check_precision(policy_at(text_model, "auto", "full"), settings, training=True)


def test_deepspeed_keeps_weights_in_float32_beside(text_model: Path) -> None:
    policy = policy_at(text_model, "bfloat16", "full")
    check_precision(policy, trainer("bf16-mixed", strategy="deepspeed_stage_3"), training=True)
    with pytest.raises(InputError, match="learns next to nothing"):
        check_precision(policy, trainer("32-true", strategy="deepspeed_stage_3"), training=True)


@pytest.mark.parametrize(
    ("given", "runs"), [(32, True), ("bf16", True), (None, True), ("64-true", False), ("x", False)]
)
def test_older_names_count_and_others_are_refused(text_model: Path, given: Any, runs: bool) -> None:
    policy = policy_at(text_model, "float32")
    if runs:
        check_precision(policy, trainer(given), training=True)
        return
    with pytest.raises(
        InputError, match=f"unknown precision '{given}': expected 32-true, bf16-mixed, 16-mixed"
    ):
        check_precision(policy, trainer(given), training=True)


@EVERY_FILE
def test_every_shipped_file_has_a_pair_that_runs(
    path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    cli = shipped(path)
    untrained = "zero_shot" in path.name
    for accelerator in ("cpu", "gpu"):
        settings = {**vars(cli.config_init["trainer"]), "accelerator": accelerator}
        check_precision(cli.model.policy, settings, training=not untrained)


def test_the_estimate_refuses_what_a_run_would(text_model: Path, corpus: Path) -> None:
    cli = parse(text_run(text_model, corpus, "--policy.dtype=bfloat16", "--policy.adapter.method=full"))
    with pytest.raises(InputError, match="learns next to nothing"):
        cli.check_precision(training=True)


@pytest.mark.parametrize("strategy", ["fsdp2", "deepspeed_stage_2", "deepspeed_stage_3_offload"])
def test_a_quantised_base_is_trained_where_each_process_has_all_of_it(
    text_model: Path, strategy: str
) -> None:
    policy = CausalLM(str(text_model), quantize="int8")
    with pytest.raises(InputError, match=rf"trainer\.strategy: {strategy} divides or converts.*auto or ddp"):
        check_precision(policy, trainer("32-true", strategy=strategy), training=True)
    check_precision(policy, trainer("32-true", strategy=strategy), training=False)
    for name in ("auto", "ddp"):  # what is advised
        check_precision(policy, trainer("32-true", strategy=name), training=True)
    check_precision(
        CausalLM(str(text_model)), trainer("32-true", strategy=strategy), training=True
    )  # the other advice


def test_nf4_on_a_gpu_without_its_kernel_says_what_to_install(
    text_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu = {"precision": "32-true", "accelerator": "gpu"}
    monkeypatch.setattr(quantised_base, "find_spec", lambda _: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert "pip install" in precision_notes(CausalLM(str(text_model), quantize="nf4"), on_gpu)[0]
    assert precision_notes(CausalLM(str(text_model), quantize="int8"), on_gpu) == []
    monkeypatch.setattr(quantised_base, "find_spec", lambda _: object())
    assert precision_notes(CausalLM(str(text_model), quantize="nf4"), on_gpu) == []
