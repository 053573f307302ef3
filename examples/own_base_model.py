"""A base model of your own in one file, without changing the package.

    python examples/own_base_model.py

A text model that no library knows by name: a small random Llama with a tokenizer of its own. A policy says how it is
read (`load_base`), how its chat template is used, and how its turns end; training, sampling, readout and saving are the
package's. It is trained on the comments of `own_corpus.py`. A checkpoint that transformers knows needs no code at all:
`--policy causal_lm --policy.path FOLDER`. See docs/extend/base_model.md.
"""

from typing import Any

import torch
from own_corpus import example
from transformers import LlamaConfig, LlamaForCausalLM

from lalm_ambig import train
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.chat.chat import Chat
from lalm_ambig.policies.tiny import CHAT_TEMPLATE, WORDS, make_tokenizer
from lalm_ambig.policies.weights.lora import Adapter


class SmallLlama(CausalLM):
    """A random Llama of half a million parameters."""

    def __init__(self, *, adapter: Adapter | None = None, seed: int = 0) -> None:
        """Args:
        adapter: What is trained; by default LoRA.
        seed: Seed of the random weights.
        """
        super().__init__("small_llama", adapter=adapter, dtype="float32")
        self.seed = seed

    def load_base(self) -> tuple[Any, Any]:
        """Make tokenizer and model, and tell the policy how a chat looks."""
        tokenizer = make_tokenizer(WORDS.read_text(encoding="utf-8").split())
        tokenizer.chat_template = CHAT_TEMPLATE
        self.chat = Chat(tokenizer, "small_llama", self.chat_settings)
        self.tags = self.chat.tags(self.tags)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=len(tokenizer),
                    hidden_size=96,
                    intermediate_size=256,
                    num_hidden_layers=3,
                    num_attention_heads=4,
                    num_key_value_heads=2,
                    eos_token_id=tokenizer.eos_token_id,
                    pad_token_id=tokenizer.pad_token_id,
                )
            )
        self.ends = self.chat.turn_ends(model)
        return tokenizer, model

    def checkpoint(self) -> str:
        """Name the model in cached results; the seed makes its weights."""
        return f"small_llama-{self.seed}"

    def check_reachable(self) -> None:
        """Nothing has to be fetched."""


def main() -> None:
    """Train on the comments of examples/own_corpus.py, and print the table of the validation split."""
    data, settings = example()
    policy = {"class_path": "own_base_model.SmallLlama"}
    run = train(
        policy, data, "sft_kl_only", name="own_base_model", quiet=True, allow_any_class=True, **settings
    )
    print(run.table)


if __name__ == "__main__":
    main()
