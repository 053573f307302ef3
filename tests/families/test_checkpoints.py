"""The tiny checkpoints are whole, the same each time, and hide nothing: no constant parameter, no token unseen."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from families.checkpoints import SIZES, build, chat_tokenizer, configuration, write
from families.table import FAMILIES, Family
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from lalm_ambig.policies.tiny import WORDS

HANDFUL = [
    family for family in FAMILIES if family.name in ("llama", "gpt2", "nemotron_h", "rwkv", "gemma3n_text")
]
LENGTH = 20
ALL = pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, id=family.name, marks=[] if family in HANDFUL else [pytest.mark.families])
        for family in FAMILIES
    ],
)
SOME = pytest.mark.parametrize("family", HANDFUL, ids=lambda family: family.name)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return chat_tokenizer()


def words(tokenizer: Any) -> torch.Tensor:
    """One text of twenty words, a token each."""
    ids = tokenizer(" " + " ".join(WORDS.read_text().split()[:LENGTH]))["input_ids"]
    assert len(ids) == LENGTH
    return torch.tensor([ids])


@ALL
def test_no_parameter_is_constant_and_the_last_token_sees_the_first(family: Family, tokenizer: Any) -> None:
    model = build(family, tokenizer)
    constant = [name for name, p in model.named_parameters() if p.numel() > 1 and (p == p.flatten()[0]).all()]
    assert constant == []
    ids = words(tokenizer)
    other = ids.clone()
    other[0, 0] = ids[0, 1]
    with torch.no_grad():
        logits, changed = model(input_ids=ids).logits, model(input_ids=other).logits
    assert logits.isfinite().all()
    assert 0.2 < logits.std() < 10
    assert (logits[0, -1] - changed[0, -1]).abs().max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_s_settings_are_settings_of_its_class(family: Family, tokenizer: Any) -> None:
    kind = CONFIG_MAPPING[family.name]
    assert set(family.settings) <= {field.name for field in dataclasses.fields(kind)} | set(
        kind.attribute_map
    )
    config = configuration(family, tokenizer)
    given = {name: value for name, value in family.settings.items() if not isinstance(value, dict)}
    assert {name: getattr(config, name) for name in given} == given
    assert config.vocab_size == len(tokenizer)
    assert config.hidden_size == SIZES["hidden_size"]


@SOME
def test_the_same_family_gives_the_same_weights(family: Family, tmp_path: Path) -> None:
    torch.manual_seed(7)
    first = load_file(write(family, tmp_path / "first") / "model.safetensors")
    drawn = torch.rand(1)
    second = load_file(write(family, tmp_path / "second") / "model.safetensors")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(1)), "writing a checkpoint moved the random state"


@SOME
def test_a_checkpoint_is_read_back_whole(family: Family, tmp_path: Path) -> None:
    folder = write(family, tmp_path / family.name)
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report.values()), report
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = words(tokenizer)
    with torch.no_grad():
        assert torch.equal(model.eval()(input_ids=ids).logits, build(family, tokenizer)(input_ids=ids).logits)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == model.config.eos_token_id


def test_the_tokenizer_makes_a_token_of_each_word_of_the_prompt(tokenizer: Any) -> None:
    for word in ("readers", "judgements", "admiration", "anger", "joy", "neutral"):
        assert len(tokenizer(f" {word}")["input_ids"]) == 1
    text = "odd: Ωmega\n🙂  x"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_chat_template_takes_a_string_and_opens_the_answer(tokenizer: Any) -> None:
    turn = [{"role": "user", "content": " calm words"}]
    chat = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert chat == "<|im_start|>user\n calm words<|im_end|>\n<|im_start|>assistant\n"


def test_the_table_has_each_family_once_and_kinds_of_all_sorts() -> None:
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names) >= 52
    assert set(names) <= set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    for sort, least in {
        "window": 5,
        "bias": 2,
        "soft cap": 2,
        "scaled logits": 2,
        "fused experts": 5,
    }.items():
        assert sum(sort in family.note for family in FAMILIES) >= least, sort
