"""What people give as a model's path: used rightly, or refused in one line that names the thing and what to do."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from small_checkpoints import DECODER, chat_tokenizer, write_causal_lm, write_omni, write_whole_omni
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from lalm_ambig.core.errors import InputError
from lalm_ambig.estimation.skeleton import skeleton
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.weights.contents import check_contents
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.quantised import quantisation

IDS = torch.tensor([[5, 9, 20, 33, 7]])
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return write_causal_lm(tmp_path_factory.mktemp("plain") / "llama", "llama")


@pytest.fixture
def folder(llama: Path, tmp_path: Path) -> Path:
    """A copy of a whole checkpoint, to be spoilt."""
    return Path(shutil.copytree(llama, tmp_path / "model"))


def refusal(policy: Policy) -> str:
    """The one line that loading ends with."""
    with pytest.raises(InputError) as raised:
        policy.load()
    said = str(raised.value)
    assert "\n" not in said
    assert len(said) < 700
    return said


def edit(folder: Path, **settings: Any) -> None:
    """Change config.json; None takes a setting out."""
    config = json.loads((folder / "config.json").read_text()) | settings
    kept = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))


def no_files(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def only(*names: str) -> Callable[[Path], None]:
    """A folder of empty files of these names."""

    def spoil(folder: Path) -> None:
        no_files(folder)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("{}")

    return spoil


def cut(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def sharded(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="200KB")
    (folder / sorted(file.name for file in folder.glob("model-*.safetensors"))[1]).unlink()


def another_width(folder: Path) -> None:
    edit(folder, intermediate_size=80)


def not_a_number(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["model.layers.1.mlp.up_proj.weight"][3, 3] = float("nan")
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def a_layer_short(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file(
        {name: w for name, w in weights.items() if "layers.1." not in name},
        folder / WEIGHTS,
        {"format": "pt"},
    )


def text(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def config(**settings: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder, **settings)


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (no_files, "model is empty. Give a folder with config.json"),
    "a tokenizer alone": (only("tokenizer.json", "tokenizer_config.json"), "is a tokenizer without a model"),
    "GGUF": (
        only("m-Q4_K_M.gguf", "README.md"),
        r"holds GGUF files and no config.json: give .*m-Q4_K_M.gguf",
    ),
    "sentence-transformers": (only("modules.json", "README.md"), "is a sentence-transformers model"),
    "diffusers": (only("model_index.json"), "is a diffusers pipeline"),
    "Llama's own": (only("params.json", "consolidated.00.pth"), "a checkpoint in Llama's own format"),
    "a hub's cache": (only("snapshots/ab12/config.json", "refs/main"), "the model lies in .*snapshots/ab12"),
    "a trainer's output": (
        only("checkpoint-7/config.json", "log.txt"),
        "its folder checkpoint-7 has: give .*/checkpoint-7",
    ),
    "DeepSpeed": (only("zero_to_fp32.py", "latest"), "a DeepSpeed checkpoint"),
    "documents": (only("a.txt", "b.txt"), "holds no model: it has no config.json, only a.txt, b.txt"),
    "a run": (
        only("config.yaml", "environment.json", "checkpoints/best.safetensors"),
        r"of a run of fit .*--run .*--model.start",
    ),
    "no JSON": (text("config.json", "{'model_type': 'llama'}"), "config.json is not readable as JSON"),
    "JSON of another kind": (text("config.json", "[1, 2]"), r"config.json holds no settings but '\[1, 2\]'"),
    "JSON cut short": (text("config.json", '{"model_type": "lla'), "config.json is not readable as JSON"),
    "nested JSON": (text("config.json", "[" * 100_000), "config.json is not readable as JSON"),
    "no type": (config(model_type=None, architectures=None), "has a config.json without model_type"),
    "remote code": (
        config(model_type="chatglm", auto_map={"AutoModel": "x.Y"}),
        r"\(chatglm\) needs code of its own",
    ),
    "a newer type": (
        config(model_type="llama9"),
        "of the type 'llama9', which transformers .* does not know",
    ),
    "a classifier": (
        config(architectures=["LlamaForSequenceClassification"]),
        "is a LlamaForSequenceClassification",
    ),
    "an encoder": (config(model_type="bert", architectures=["BertModel"]), r"\(bert\) is an encoder"),
    "an encoder of masks": (
        config(model_type="roberta", architectures=["RobertaForMaskedLM"]),
        "is a RobertaForMaskedLM",
    ),
    "an encoder-decoder": (
        config(model_type="t5", architectures=["T5Model"]),
        r"\(t5\) is an encoder with a decoder",
    ),
    "bart": (
        config(model_type="bart", architectures=["BartForConditionalGeneration"]),
        "an encoder with a decoder",
    ),
    "eyes": (config(model_type="qwen2_vl", vision_config={}), r"\(qwen2_vl\) takes pictures or sound"),
    "llava": (config(model_type="llava", text_config={}), r"\(llava\) takes pictures or sound"),
    "ears": (config(model_type="qwen2_audio"), r"hears .* Use configs/policy/qwen2_audio.yaml"),
    "more ears": (
        config(model_type="qwen2_5_omni_thinker"),
        r"hears .* Use configs/policy/qwen2_5_omni.yaml",
    ),
    "impossible settings": (config(hidden_size="wide"), "no text model checkpoint can be read"),
    "impossible heads": (config(num_attention_heads=0), "no text model checkpoint can be read"),
    "settings of another shape": (config(rope_parameters=[1]), "no text model checkpoint can be read"),
    "pickles": (pickled, r"its weights are pickled \(pytorch_model.bin\).*save_pretrained"),
    "TensorFlow": (lambda f: (f / WEIGHTS).rename(f / "tf_model.h5"), "its weights are TensorFlow's"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "it has a config.json and no weights"),
    "a shard missing": (sharded, r"1 of its \d+ weight files are missing, model-00002-of"),
    "an index of nothing": (text(INDEX, "{}"), "lists no weight files"),
    "cut short": (cut, r"model.safetensors is cut short or damaged: \d+ bytes of \d+. Download it again"),
    "a page of HTML": (
        text(WEIGHTS, "<html>not found</html>"),
        "model.safetensors is not a safetensors file",
    ),
    "nothing in it": (text(WEIGHTS, ""), "model.safetensors is not a safetensors file"),
    "a pointer": (
        text(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:0"),
        "a pointer of Git LFS",
    ),
    "another width": (
        another_width,
        r"weights are not of the measures in config.json: .* is \[.*96.*\], not \[.*80",
    ),
    "NaN": (not_a_number, "model.layers.1.mlp.up_proj.weight holds what is not a number"),
    "a layer short": (a_layer_short, r"it lacks \d+ weights of .*model.layers.1."),
    "a broken tokenizer": (text("tokenizer.json", "{"), "no text model checkpoint can be read"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_no_plain_checkpoint_is_one_line(folder: Path, name: str) -> None:
    spoil, expected = SPOILT[name]
    spoil(folder)
    said = refusal(CausalLM(str(folder)))
    assert re.search(expected, said), said


QUANTISED: list[tuple[dict[str, Any], str]] = [
    ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False}, "gptq, 4 bits"),
    ({"quant_method": "awq", "w_bit": 4, "q_group_size": 128}, "awq, 4 bits"),
    (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        "bitsandbytes, 4 bits",
    ),
    ({"_load_in_8bit": True}, "bitsandbytes, 8 bits"),
    (
        {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8}}}},
        "compressed-tensors, 8 bits",
    ),
    ({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 3}}}, "hqq, 3 bits"),
    ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8, 8 bits"),
    ({"quant_method": "fbgemm_fp8"}, "fbgemm_fp8, 8 bits"),
    ({"quant_method": "mxfp4"}, "mxfp4, 4 bits"),
    ({"quant_method": "torchao", "quant_type": "int4_weight_only"}, "torchao, 4 bits"),
    ({"quant_method": "quanto", "weights": "int2"}, "quanto, 2 bits"),
    ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "modelopt, 4 bits"),
    ({"quant_method": "eetq", "weights": "int8"}, "eetq, 8 bits"),
    ({"quant_method": "aqlm"}, "aqlm"),
    ({"quant_method": "bitnet"}, "bitnet"),
]


@pytest.mark.parametrize(("settings", "named"), QUANTISED, ids=[name for _, name in QUANTISED])
@pytest.mark.parametrize("key", ["quantization_config", "compression_config"])
def test_a_quantised_checkpoint_is_named_with_its_bits(
    folder: Path, settings: dict[str, Any], named: str, key: str
) -> None:
    edit(folder, **{key: settings})
    expected = re.escape(f"is quantised ({named}), and only plain weights")
    said = refusal(CausalLM(str(folder)))
    assert re.search(expected, said), said
    with pytest.raises(InputError, match=expected):  # `--estimate`
        skeleton(CausalLM(str(folder)))


def test_a_quantised_part_and_an_older_tool_s_file_are_seen(folder: Path) -> None:
    edit(folder, text_config={"quantization_config": {"quant_method": "gptq", "bits": 8}})
    assert "quantised (gptq, 8 bits)" in refusal(CausalLM(str(folder)))
    edit(folder, text_config=None)
    (folder / "quantize_config.json").write_text('{"bits": 4}')
    assert "quantised (it has quantize_config.json)" in refusal(CausalLM(str(folder)))


def test_what_can_be_dequantised_is_told_how(folder: Path) -> None:
    edit(folder, quantization_config={"quant_method": "mxfp4"})
    assert "Mxfp4Config(dequantize=True)" in refusal(CausalLM(str(folder)))


def test_plain_settings_are_not_taken_for_quantised(folder: Path) -> None:
    assert (
        quantisation({"hidden_size": 8, "text_config": {"bits": 4}, "quantization_config": None}, folder)
        is None
    )
    assert (
        quantisation({"quantization_config": {"quant_method": "gguf"}}, folder) is None
    )  # it was dequantised


def lora(base: Path, folder: Path) -> Path:
    """An adapter of PEFT, as anybody may have made one."""
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(target_modules=["q_proj"]))
    model.save_pretrained(folder)
    return folder


def test_an_adapter_is_named_with_its_base_and_its_options(llama: Path, tmp_path: Path) -> None:
    adapter = lora(llama, tmp_path / "adapter")
    said = refusal(CausalLM(str(adapter)))
    assert f"{adapter} is a PEFT adapter (LORA), not a model. Give {llama} as policy.path" in said
    assert f"--model.start {adapter}" in said
    with pytest.raises(InputError, match="is a PEFT adapter"):
        skeleton(CausalLM(str(adapter)))


def test_an_adapter_beside_a_whole_model_is_named_too(folder: Path, llama: Path) -> None:
    lora(llama, folder)
    assert (folder / "config.json").is_file()
    assert (folder / WEIGHTS).is_file()
    assert "is a PEFT adapter (LORA), not a model" in refusal(CausalLM(str(folder)))


def test_an_adapter_of_a_run_is_named_with_its_run(llama: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    lora(llama, run / "adapter")
    for name in ("config.yaml", "environment.json"):
        (run / name).write_text("")
    assert f"to evaluate as --run {run}" in refusal(CausalLM(str(run / "adapter")))


def test_a_part_of_a_run_is_named_with_its_run(tmp_path: Path) -> None:
    only("config.yaml", "environment.json", "checkpoints/best.safetensors")(make(tmp_path / "run"))
    assert f"--run {tmp_path / 'run'} (evaluate, predict)" in refusal(
        CausalLM(str(tmp_path / "run/checkpoints"))
    )


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_file_is_no_folder(folder: Path) -> None:
    assert "is a file. Give a checkpoint's folder" in refusal(CausalLM(str(folder / WEIGHTS)))


def test_a_hub_id_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "nobody/nothing is not in the hub's cache, and the hub" in refusal(CausalLM("nobody/nothing"))
    with pytest.raises(InputError, match=r"is not in the hub's cache"):
        skeleton(CausalLM("nobody/nothing"))


@torch.no_grad()
def test_a_merged_model_is_a_model(llama: Path, tmp_path: Path) -> None:
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(llama), LoraConfig(target_modules=["q_proj"]))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.add_(0.1)
    expected = model.eval()(input_ids=IDS).logits
    merged = tmp_path / "merged"
    shutil.copytree(llama, merged)
    model.merge_and_unload().save_pretrained(merged)
    policy = CausalLM(str(merged))
    policy.load()
    torch.testing.assert_close(policy.base(input_ids=IDS).logits, expected, atol=1e-5, rtol=1e-4)


def test_a_whole_sharded_checkpoint_loads(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="200KB")
    assert not (folder / WEIGHTS).exists()
    policy = CausalLM(str(folder))
    policy.load()
    assert torch.equal(policy.base.lm_head.weight, model.lm_head.weight)


EYES = {"hidden_size": 32, "intermediate_size": 48, "image_size": 28, "patch_size": 14}
SMALL_EYES = {**EYES, "num_hidden_layers": 1, "num_attention_heads": 2}
DELTA = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_value_heads": 2,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
WITH_EYES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gemma3": ({}, {"vision_config": SMALL_EYES, "mm_tokens_per_image": 4, "image_token_index": 7}),
    "qwen3_5": (
        DELTA,
        {
            "vision_config": {
                "hidden_size": 32,
                "intermediate_size": 48,
                "depth": 1,
                "num_heads": 2,
                "out_hidden_size": 64,
            }
        },
    ),
    "llama4": (
        {"num_local_experts": 2, "intermediate_size_mlp": 96},
        {
            "vision_config": {
                **SMALL_EYES,
                "vision_output_dim": 64,
                "projector_input_dim": 64,
                "projector_output_dim": 64,
            }
        },
    ),
}


@pytest.mark.parametrize("family", WITH_EYES)
@torch.no_grad()
def test_the_text_part_of_a_whole_model_with_eyes_is_what_answers(tmp_path: Path, family: str) -> None:
    tokenizer = chat_tokenizer()
    own, rest = WITH_EYES[family]
    size = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    settings = AutoConfig.for_model(family, text_config={**DECODER, "head_dim": 16, **size, **own}, **rest)
    torch.manual_seed(0)
    whole = AutoModelForImageTextToText.from_config(settings).eval()
    whole.generation_config.eos_token_id = tokenizer.eos_token_id
    whole.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    reads = whole.language_model if family == "llama4" else whole  # whose own forward needs a picture
    policy = CausalLM(str(tmp_path))
    policy.load()
    policy.eval()
    ours = policy.logits(policy.hidden(policy.embed_ids(IDS), torch.ones_like(IDS, dtype=torch.bool)))
    torch.testing.assert_close(ours, reads(input_ids=IDS).logits, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="session")
def omni(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_omni(tmp_path_factory.mktemp("ears") / "omni")


def test_models_with_ears_name_the_policy_that_hears(llama: Path, omni: Path, tmp_path: Path) -> None:
    whole = write_whole_omni(tmp_path / "whole", omni)
    for folder in (omni, whole):
        assert "Use configs/policy/qwen2_5_omni.yaml" in refusal(CausalLM(str(folder)))
        assert "not qwen2_audio. Use configs/policy/qwen2_5_omni.yaml" in refusal(Qwen2Audio(str(folder)))
    assert "is of the type llama, not qwen2_5_omni_thinker. A text model" in refusal(Qwen2_5Omni(str(llama)))
    assert check_contents(str(whole))["model_type"] == "qwen2_5_omni"
    policy = Qwen2_5Omni(str(whole))
    policy.load()
    assert policy.loaded


def test_a_defect_of_ours_keeps_its_traceback(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object, **__: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr("lalm_ambig.policies.base.attach_adapter", defect)
    with pytest.raises(KeyError, match="ours"):
        CausalLM(str(llama)).load()


@pytest.mark.parametrize(
    "error", [ImportError, KeyError, AttributeError, TypeError, RecursionError, NotImplementedError]
)
def test_a_refusal_of_a_library_is_one_line_whatever_its_type(
    llama: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error("no such thing\nand more lines")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", refuse)
    said = refusal(CausalLM(str(llama)))
    assert "no text model checkpoint can be read" in said
    assert "no such thing. Give a folder" in said


def test_a_class_without_sdpa_runs_its_own_attention_and_says_so(tmp_path: Path) -> None:
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 16}
    write_causal_lm(tmp_path / "sinks", "gpt_oss", **experts)
    policy = CausalLM(str(tmp_path / "sinks"), adapter=Adapter(rank=2))
    policy.load()
    assert policy.base.config._attn_implementation == "eager"
    assert "GptOssForCausalLM has no sdpa attention: eager is used" in policy.load_notes


@pytest.mark.parametrize(
    ("dtype", "method", "expected"),
    [
        ("auto", "lora", torch.bfloat16),
        ("auto", "full", torch.float32),
        ("float16", "lora", torch.float16),
        ("bfloat16", "full", torch.bfloat16),
    ],
)
def test_weights_that_are_trained_whole_are_read_in_float32(
    llama: Path, tmp_path: Path, dtype: Any, method: Any, expected: torch.dtype
) -> None:
    shutil.copytree(llama, tmp_path / "half")
    AutoModelForCausalLM.from_pretrained(llama, dtype=torch.bfloat16).save_pretrained(tmp_path / "half")
    policy = CausalLM(str(tmp_path / "half"), adapter=Adapter(method=method), dtype=dtype)
    policy.load()
    assert policy.base.lm_head.weight.dtype == expected
    shapes = {
        p.dtype
        for n, p in skeleton(CausalLM(str(tmp_path / "half"), adapter=Adapter(method=method), dtype=dtype))[
            0
        ].named_parameters()
        if "lora_" not in n
    }
    assert shapes == {expected}


@pytest.mark.parametrize("path", ["/not/there", "./not_there", "models/of/mine", "~/not_there"])
def test_a_path_that_is_not_there_and_no_hub_id_is_a_missing_folder(path: str) -> None:
    with pytest.raises(InputError, match=r"policy\.path: no such folder: .* Give a folder, or a hub id"):
        CausalLM(path).load()
