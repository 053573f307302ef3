"""`fit --estimate` from the configuration to the table: nothing loaded, one line where there is no config.json."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from families.checkpoints import chat_tokenizer, configuration
from families.table import FAMILIES
from rich.console import Console
from seven_b import write_qwen2_audio

from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.config.estimate_option import Assumptions
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.estimation.estimate import halved, print_estimate
from lalm_ambig.estimation.formulas import ComputeTypes
from lalm_ambig.estimation.memory import Estimate, StepSetting, estimate, evaluation_workload
from lalm_ambig.estimation.shapes import DecoderShape, Shapes, shapes_of
from lalm_ambig.estimation.workload import Workload
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.weights.lora import Adapter

CONFIGS = config_folder()
MIXED = ComputeTypes(2, 2, casts=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_qwen2_audio(tmp_path_factory.mktemp("qwen2_audio_7b"))


@pytest.fixture(scope="module")
def seven_b(folder: Path) -> Shapes:
    return shapes_of(Qwen2Audio(str(folder), dtype="bfloat16"))


def of(
    shapes: Shapes, *, rollouts: int = 8, tokens: int = 256, prompt: int = 300, **setting: object
) -> Estimate:
    work = Workload(1, prompt, 0, (tokens,) * rollouts, rollouts=rollouts, longest=tokens)
    defaults = {
        "strategy": "auto",
        "processes": 1,
        "on_cpu": False,
        "trains_tower": False,
        "accumulates": False,
    }
    where = StepSetting(MIXED, **{**defaults, **setting})  # type: ignore[arg-type]
    return estimate(shapes, work, evaluation_workload(work, items=1, responses=0, longest=1), where)


def test_the_7b_models_measures_come_from_its_config_alone(seven_b: Shapes) -> None:
    assert 7.6e9 < seven_b.parameters < 8.5e9
    assert seven_b.weights == pytest.approx(16.8e9, rel=0.01)  # bfloat16
    per_layer = 8 * (4 * (4096 + 4096) + 3 * (4096 + 11008))  # LoRA r=8 on seven projections
    assert seven_b.trained == 32 * per_layer
    assert seven_b.adapters == 4 * seven_b.trained  # float32
    assert seven_b.encoder is not None
    assert seven_b.encoder.longest == 750


def test_a_fully_trained_model_has_no_adapters_and_a_halved_one_two_bytes_a_number(folder: Path) -> None:
    full = shapes_of(Qwen2Audio(str(folder), dtype="float32", adapter=Adapter(method="full")))
    assert (full.trained, full.adapters, full.rank) == (full.parameters, 0, 0)
    assert full.weights == 4 * full.parameters
    half = halved(full)
    assert (half.weights, half.adapters, half.trained_bytes) == (2 * full.parameters, 0, 2)


def test_it_grows_with_k_and_lengths_and_shrinks_with_devices(seven_b: Shapes) -> None:
    by_k = [of(seven_b, rollouts=k).peak for k in (2, 4, 8, 16)]
    by_length = [of(seven_b, tokens=n).peak for n in (64, 128, 256)]
    by_prompt = [of(seven_b, prompt=n).peak for n in (100, 500, 1000)]
    for growing in (by_k, by_length, by_prompt):
        assert growing == sorted(set(growing))
    by_devices = [of(seven_b, strategy="fsdp2", processes=n).peak for n in (2, 4, 8)]
    assert by_devices == sorted(set(by_devices), reverse=True)


def test_phases_take_turns_and_gathered_weights_count_while_sampling(seven_b: Shapes) -> None:
    alone, shared = of(seven_b), of(seven_b, strategy="deepspeed_stage_3", processes=2)
    assert alone.peak == sum(alone.resident.values()) + sum(alone.phases["training pass"].values())
    assert alone.phases["sampling"]["whole weights, gathered"] == 0
    weight_bytes = 2 * seven_b.parameters
    assert shared.phases["sampling"]["whole weights, gathered"] == pytest.approx(weight_bytes / 2, rel=1e-6)
    assert "gradients" in alone.resident  # until the next backward pass
    assert "gradients" not in {
        **shared.resident,
        **shared.phases["sampling"],
    }  # DeepSpeed's optimiser frees them


def test_float32_weights_are_copied_for_bf16_and_the_copies_kept_for_the_backward_pass(folder: Path) -> None:
    wide, narrow = (shapes_of(Qwen2Audio(str(folder), dtype=dtype)) for dtype in ("float32", "bfloat16"))
    layer = 4 * 4096 * 4096 + 3 * 4096 * 11008
    needs = of(wide).phases["training pass"]
    assert needs["copies of weights"] == 2 * 32 * layer == 2 * wide.linear
    assert of(wide, recompute_every=1).phases["training pass"]["copies of weights"] == 2 * layer
    assert of(narrow).phases["training pass"]["copies of weights"] == 0
    head = 2 * 4096 * 156032
    assert of(wide).phases["sampling"]["a weight's copy"] == head == 2 * wide.head


def test_a_quantised_base_has_half_a_byte_or_one_per_weight_of_the_decoders_layers(
    folder: Path, seven_b: Shapes
) -> None:
    linear = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    for kind, per_weight in (("nf4", 0.5 + 4 / 64), ("int8", 1.0)):
        packed = shapes_of(Qwen2Audio(str(folder), dtype="bfloat16", quantize=kind))  # type: ignore[arg-type]
        assert packed == seven_b.quantise(kind)  # type: ignore[arg-type]
        assert seven_b.weights - packed.weights == pytest.approx((2 - per_weight) * linear)
    assert of(packed).phases["training pass"]["copies of weights"] == 2 * 4096 * 11008  # one, made whole


def test_what_is_held_all_the_time_has_no_margin(seven_b: Shapes) -> None:
    found = of(seven_b)
    comes_and_goes = sum(found.phases["training pass"].values())
    assert found.needed == pytest.approx(found.peak + 0.25 * comes_and_goes)


def configured(folder: Path, method: str, *more: str) -> Cli:
    files = ("policy/qwen2_audio", "data/crema_d", f"method/{method}", "hardware/one_24gb")
    options = [f"--config={CONFIGS / name}.yaml" for name in files]
    return parse([*options, "--policy.path", str(folder), "--data.corpus.root", str(folder / "none"), *more])


def test_the_table_says_what_was_assumed_what_dominates_and_what_fits(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    cli = configured(folder, "grpo", "--policy.adapter.checkpoint_activations=false")
    print_estimate(cli, Assumptions(clip_s=3.0, prompt_tokens=250.0, cards=(24.0, 200.0)), Console(width=120))
    text = capsys.readouterr().out
    assert not cli.model.policy.loaded
    assert (
        "1 item, 8 responses of 256 tokens to each, 2373 tokens in a pass; auto, 1 process, bf16-mixed"
        in text
    )
    assert "assumed, since the corpus was not checked yet): prompt 325 tokens, 75 of them sound" in text
    assert "in the training pass, most of it weights" in text
    assert "fits: 24 GiB card: no, 200 GiB card: yes" in text
    assert "An estimate" in text


def test_a_gpu_that_is_visible_is_what_it_must_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = SimpleNamespace(name="A card", total_memory=25 * 2**30)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: card)
    print_estimate(configured(folder, "sft"), Assumptions(clip_s=3.0), Console(width=120))
    assert "fits: A card (25.0 GiB): " in capsys.readouterr().out


def test_a_model_without_a_config_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"policy.path: .* is empty. Give a folder with config.json"
    ) as raised:
        shapes_of(Qwen2Audio(str(tmp_path)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("family", "measures"),
    [
        ("gpt2", (2, 64, 4, 4, 16, 256)),
        ("opt", (2, 64, 4, 4, 16, 96)),
        ("falcon", (2, 64, 4, 4, 16, 256)),
        ("mpt", (2, 64, 4, 4, 16, 256)),
        ("gpt_bigcode", (2, 64, 4, 1, 16, 256)),
        ("mamba", (2, 64, 1, 0, 64, 128)),  # no heads, no keys
        ("nemotron_h", (4, 64, 4, 2, 16, 96)),  # its layers are only listed
        ("gemma3n_text", (4, 64, 4, 2, 16, 96)),  # a width for each layer
    ],
)
def test_families_name_their_measures_in_their_own_way(
    tmp_path: Path, family: str, measures: tuple[int, ...]
) -> None:
    row = next(one for one in FAMILIES if one.name == family)
    tokenizer = chat_tokenizer()
    configuration(row, tokenizer).save_pretrained(tmp_path)
    decoder = shapes_of(CausalLM(str(tmp_path))).decoder
    assert decoder == DecoderShape(*measures, vocabulary=len(tokenizer))


def printed(cli: Cli, capsys: pytest.CaptureFixture[str]) -> str:
    print_estimate(cli, Assumptions(), Console(width=200))
    return capsys.readouterr().out


def test_a_side_path_counts_as_trained_and_in_the_features_on_disk(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = printed(configured(folder, "sft_kl_only"), capsys)
    beside = printed(configured(folder, "sft_kl_only", "--policy.audio_layers=[8,16,24]"), capsys)
    trained = [float(re.search(r"([\d.]+) M of them trained", text)[1]) for text in (plain, beside)]  # type: ignore[index]
    assert trained[1] - trained[0] == pytest.approx(3 * 1280 * 4096 / 1e6, abs=0.02)
    assert "audio features on disk: 0.23 GB per hour of sound (1,280 channels per audio token)" in plain
    assert "audio features on disk: 0.92 GB per hour of sound (5,120 channels per audio token)" in beside


def test_features_that_fit_would_refuse_are_named(
    demo_root: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    words = [
        f"--data.corpus.root={demo_root}",
        "--policy.adapter.audio_tower=false",
        "--data.feature_cache_gb=1e-5",
    ]
    cli = parse(words)
    cli.datamodule.setup()
    assert "so fit will refuse it" in printed(cli, capsys)
    assert "so fit will refuse it" not in printed(parse(words[:2]), capsys)


def test_features_that_are_not_cached_take_no_disk(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--data.cache_features=false", "--policy.adapter.audio_tower=true"):
        assert "on disk" not in printed(configured(folder, "sft_kl_only", option), capsys)
