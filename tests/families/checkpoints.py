"""Tiny random checkpoints of the families in `table`, whole folders as a user would bring them: `write`."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from families.table import Family
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from lalm_ambig import prompts
from lalm_ambig.policies.tiny import WORDS, make_tokenizer

SIZES: Mapping[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 2048,
    "initializer_range": 0.1,
}
"""Of every family whose configuration has a setting of that name, unless its row says otherwise."""
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Takes a message's content as one string, as templates of text models do."""
NOISE = 0.1
"""Standard deviation of what is added to a number that its class does not draw at random."""
SLOWER = 3.0
"""Taken from the logarithms of decay rates: as drawn, a recurrence would forget a token within five others."""
SEED = 0


def write(family: Family, folder: Path) -> Path:
    """Write configuration, weights, tokenizer and chat template. The same family gives the same files."""
    tokenizer = chat_tokenizer()
    model = build(family, tokenizer)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def chat_tokenizer() -> Any:
    """Each word of the text-emotion prompts and of the tiny model's list is one token; other text is bytes."""
    texts = [file.read_text() for file in sorted(prompts.FOLDER.glob("text_emotion.*.txt"))]
    words = re.findall(r"[A-Za-z]+", " ".join([WORDS.read_text(), *texts]))
    tokenizer = make_tokenizer(list(dict.fromkeys(words)))
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build(family: Family, tokenizer: Any) -> Any:
    """A model of the family in float32, in evaluation mode, none of whose parameters is as its class always makes it.

    Classes set some parameters to constants: norms to 1, biases to 0, the times of a recurrence to a row of numbers.
    What is the same under two seeds is taken for such a constant, number by number, and gets noise.
    """
    settings = configuration(family, tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED + 1)
        other = dict(AutoModelForCausalLM.from_config(settings).named_parameters())
        torch.manual_seed(SEED)
        model = AutoModelForCausalLM.from_config(settings)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                constant = parameter == other[name]
                parameter.add_(NOISE * torch.randn_like(parameter) * constant)
                if name.endswith("A_log"):
                    parameter.sub_(SLOWER)
    model.eval()
    return model


def configuration(family: Family, tokenizer: Any) -> Any:
    """The family's configuration: of `SIZES` only what it has a setting for."""
    kind = CONFIG_MAPPING[family.name]
    settable = {field.name for field in dataclasses.fields(kind)}
    common = {
        **SIZES,
        "vocab_size": len(tokenizer),
        "vocab_size_per_layer_input": len(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.pad_token_id,
    }
    own_names = {kind.attribute_map.get(name, name): value for name, value in common.items()}
    known = {name: value for name, value in own_names.items() if name in settable}
    return AutoConfig.for_model(family.name, **{**known, **family.settings})
