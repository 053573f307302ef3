"""The interface of every base model: chat tokens, embeddings, hidden states and the head.

Each part is a method of its own, so a caller pays only for what it uses: no logits of prompt tokens, no 30 s window
around a clip of 2 s, no second copy of the reference. Only this room imports transformers and peft.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.policies.attention.abilities import Abilities
from lalm_ambig.policies.attention.layer_kinds import decoder_layers
from lalm_ambig.policies.attention.native_forward import LogitTransform, NativeForward
from lalm_ambig.policies.attention.tree import Segment, disable_layout_attention, enable_layout_attention
from lalm_ambig.policies.audio.text_only import TextOnly
from lalm_ambig.policies.chat.chat import Chat
from lalm_ambig.policies.log_probs import some_logits, token_log_probs
from lalm_ambig.policies.self_check.examination import check_adapter, self_check
from lalm_ambig.policies.weights.lora import Adapter, attach_adapter, checkpoint_activations, load_model
from lalm_ambig.policies.weights.lora_product import join_products
from lalm_ambig.policies.weights.quantised_base import Quantize, check_settings, quantise
from lalm_ambig.policies.weights.saved_adapter import adapter_disabled, load_adapter
from lalm_ambig.policies.weights.sharding import Root, call_as_forward
from lalm_ambig.readouts.response import TAGS, Tags

Result = TypeVar("Result")


class Policy(TextOnly, nn.Module, ABC):
    """A language model, with or without an audio encoder, and the adapter that is trained.

    The constructor only notes the settings. `load` reads the weights, so that mistakes elsewhere are found first.
    """

    tokenizer: Any
    model: Any
    """The transformers model, inside PEFT's wrapper where an adapter is trained."""
    chat: Chat
    """The checkpoint's chat template and the token ids of texts (set by `load_base`)."""
    ends: Sequence[int]
    """Tokens that end the model's turn, the template's own first (set by `load_base`)."""
    tags: Tags = TAGS
    """The tags around reasoning and answer."""

    def __init__(self, adapter: Adapter, quantize: Quantize | None = None) -> None:
        super().__init__()
        check_settings(quantize, full=adapter.method == "full")
        self.adapter, self.quantize = adapter, quantize
        self.loaded = False
        self.abilities = Abilities()  # results of the self-check of this checkpoint
        self.load_notes: list[str] = []  # lines for the user on how weights and adapter were read
        self._start: Path | None = None  # folder of the saved weights that replaced the fresh adapter
        self._base_biases: dict[str, Tensor] = {}  # the base model's, where a saved adapter changes them
        self.place: torch.device | str = "cpu"  # where `load_base` puts the weights
        self.checked_device_type = ""  # kind of device on which `abilities` were measured
        self._root: tuple[Root, ...] = ()
        self.zero_offload: Any = None
        """DeepSpeed's `parameter_offload` while ZeRO-3 divides the weights (see `weights.sharding`)."""

    # Loading

    def check_reachable(self) -> None:
        """Ask the hub whether it has the checkpoint; most policies need no hub.

        Raises:
            InputError: The hub does not answer within seconds, and its cache lacks the checkpoint.
        """

    @abstractmethod
    def load_base(self) -> tuple[Any, Any]:
        """Read the tokenizer and the model without adapter, in that order.

        Raises:
            InputError: The path holds no checkpoint of this class.
        """

    def on_meta(self) -> tuple[nn.Module, nn.Module, Any]:
        """Build the model without weights on torch's meta device, from its config.json alone.

        Returns:
            The model without adapter, its decoder, and its transformers configuration.

        Raises:
            InputError: There is no config.json, or it describes another kind of model.
        """
        raise InputError(f"{self.description} has no config.json that says its size.", where="policy")

    def weights_dtype(self) -> str | None:
        """Type that the weights will have once loaded: `float32`, `bfloat16` or `float16`; None if unknown.

        Raises:
            InputError: The path holds no plain checkpoint.
        """
        return None

    def load(self, place: torch.device | str = "cpu") -> None:
        """Read the weights onto the device `place`, where all is computed, and attach the adapter; only once."""
        if self.loaded:
            return
        self.place = "cpu" if self.quantize else place  # a card may be too small for the plain weights
        self.check_reachable()
        self.tokenizer, self.model = self.load_base()
        self.model.requires_grad_(False)
        if self.quantize:
            self.place = place
            self.load_notes.append(quantise(self.model, self.language_model, self.quantize, place))
            self.model.to(place)
        self.model, notes = attach_adapter(
            self.model, self.adapter, decoder=self.language_model, beside=self.beside
        )
        join_products(self.model)
        self.load_notes += notes
        if self.adapter.checkpoint_activations:
            checkpoint_activations(self.language_model, self.description, every=self.adapter.checkpoint_every)
        self.model.to(place)  # what was made beside the checkpoint's own weights
        self._root = (Root(self.model),)
        self.native_forward = NativeForward(self.base)
        self.check()
        self.loaded = True

    def reload(self) -> None:
        """Read the weights anew, after a strategy has divided or rewritten those that were trained."""
        self.loaded, self.zero_offload, self.load_notes = False, None, []
        self.model, self._root = None, ()  # or both would be held at once
        self.load(self.place)
        if self._start is not None:  # its settings say what trained weights mean
            self.load_weights(self._start)

    def check(self) -> None:
        """Run the self-check once for all processes, each with undivided weights, and use the checkpoint as it shows.

        Raises:
            InputError: The checkpoint cannot be used.
        """
        self.abilities = distributed.on_rank_zero(lambda: self_check(self))
        self.checked_device_type = self.device.type
        (enable_layout_attention if self.abilities.shares else disable_layout_attention)(
            self.attention_config
        )

    def check_again_if_moved(self) -> None:
        """Repeat `check` if the policy is now on another kind of device."""
        if self.device.type != self.checked_device_type:
            self.check()

    # The modules inside

    @property
    @abstractmethod
    def language_model(self) -> nn.Module:
        """The decoder without its head."""

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder's layers."""
        return decoder_layers(self.language_model, self.description)

    @property
    def attention_config(self) -> Any:
        """The configuration from which the decoder's layers take their attention implementation."""
        return self.language_model.config

    @property
    def base(self) -> Any:
        """The transformers model; an adapter's layers are inside it."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model

    @property
    def root(self) -> Root:
        """The model as the root module of FSDP2; it is not a submodule of the policy."""
        return self._root[0]

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def logit_transform(self) -> LogitTransform:
        """What the model does to the product of its head."""
        return self.abilities.logit_transform

    @property
    def notes(self) -> list[str]:
        """Lines for the user on a loaded policy."""
        return [*self.chat.notes, *self.load_notes, *self.abilities.notes]

    # Prompts

    def prompt_ids(
        self, parts: Sequence[dict[str, str]], *, audio_tokens: int = 0, at_once: bool = False
    ) -> list[int]:
        """Token ids of a user's turn, up to the token before the model's answer.

        Args:
            parts: Text and audio parts; texts of others have been through `as_text`.
            audio_tokens: Number of placeholder tokens for the audio.
            at_once: The answer comes without reasoning: a thought that the template opens is closed.
        """
        if audio_tokens or any(part["type"] != "text" for part in parts):
            raise self.text_only_error()
        return self.chat.prompt_ids(parts, at_once=at_once)

    def text_ids(self, text: str) -> list[int]:
        """Token ids of a text that continues another, without special tokens around it."""
        return self.chat.text_ids(text)

    def as_text(self, text: str) -> str:
        """A text of others in which no control token counts as one (see `TextIds.as_text`)."""
        return self.chat.text_ids.as_text(text)

    def fence(self, before: str, after: str) -> str:
        """The string to put around a text of others between these two (see `TextIds.fence`)."""
        return self.chat.text_ids.fence(before, after)

    @property
    def end_ids(self) -> list[int]:
        """Tokens that end the model's turn."""
        return list(self.ends)

    @property
    def pad_id(self) -> int:
        """Token for masked positions: the tokenizer's padding token, or else the first end token."""
        pad = self.tokenizer.pad_token_id
        return self.end_ids[0] if pad is None else int(pad)

    # Forward

    def forward(self, step: Callable[[], Result]) -> Result:
        """Run `step` inside the root module's forward, so FSDP2's unshard and reshard hooks wrap it."""
        result: Result = self.root(step)
        return result

    def run_step(self, step: Callable[[], Result]) -> Result:
        """Call the policy as a module on `step`: all hooks of a strategy run before and after it (see `forward`)."""
        result: Result = self(step)
        return result

    def native_states(
        self, ids: Int[Tensor, " token"], clip_s: float
    ) -> tuple[Segment, Int[Tensor, " all"], Float[Tensor, "all channel"]]:
        """Hidden states of one text by the model class's own forward, as the self-check's reference.

        Args:
            ids: Tokens of the text.
            clip_s: Seconds of sound before them; 0 for none.

        Returns:
            The text as a segment, its ids and its states, with those of the audio's tokens.
        """
        states, _ = self.native_forward(input_ids=ids[None], use_cache=False)
        return Segment(self.embed_ids(ids), None, ids), ids, states[0]

    def embed(self, tokens: Tokens, audio: Audio | None = None) -> Float[Tensor, "item token channel"]:
        """Input embeddings, with the audio's features in place of its placeholder tokens."""
        if audio is not None:
            raise self.text_only_error()
        return self.embed_ids(tokens.ids)

    def embed_ids(self, ids: Int[Tensor, "*item token"]) -> Float[Tensor, "*item token channel"]:
        """Embeddings of text tokens."""
        embeddings: Tensor = self.base.get_input_embeddings()(ids)
        return embeddings

    def hidden(
        self,
        embeddings: Float[Tensor, "item new channel"],
        mask: Bool[Tensor, "item token"],
        *,
        ids: Int[Tensor, "item new"] | None = None,
        past: dict[str, Any] | None = None,
        has_padding: bool = True,
    ) -> Float[Tensor, "item new channel"]:
        """Hidden states of the new tokens, as the head reads them.

        Positions count the unmasked tokens, so padding on either side changes nothing for a model that obeys the mask.

        Args:
            embeddings: Embeddings of the new tokens.
            mask: [item, token], True on tokens, False on padding; first the tokens in the cache, then the new ones.
            ids: The new tokens, if ids alone describe them (see `Segment.ids`).
            past: State of earlier calls, updated in place for the next one; an empty dict starts a text. None if no
                call follows.
            has_padding: Whether the mask may have padding; if False, the decoder gets no mask.
        """
        positions = (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -embeddings.shape[1] :]
        states, state = self.decoded(
            embeddings,
            ids,
            attention_mask=mask.long() if has_padding else None,
            position_ids=self.rotary_positions(positions),
            use_cache=past is not None,
            **(past or {}),
        )
        if past is not None:
            past.update(state)
        return states

    def decoded(
        self,
        embeddings: Float[Tensor, "row token channel"],
        ids: Int[Tensor, "row token"] | None,
        **settings: Any,
    ) -> tuple[Float[Tensor, "row token channel"], dict[str, Any]]:
        """One pass of the decoder.

        Args:
            embeddings: Embeddings of the tokens.
            ids: The tokens, if ids alone describe them; None otherwise.
            settings: Further arguments of the decoder's forward.

        Returns:
            The hidden states that the head reads, and the state from which decoding continues.
        """
        out = self.language_model(inputs_embeds=embeddings, **settings)
        return out.last_hidden_state, {} if out.cache is None else {"cache": out.cache}

    def rotary_positions(self, positions: Int[Tensor, "item token"]) -> Tensor:
        """Positions in the shape that the decoder takes."""
        return positions

    def logits(self, hidden: Float[Tensor, "*rows channel"]) -> Float[Tensor, "*rows vocabulary"]:
        """Logits of the whole vocabulary for these rows only."""
        rows: Tensor = self.base.get_output_embeddings()(hidden)
        return rows if self.logit_transform.is_identity else self.logit_transform(rows.float())

    def token_log_probs(
        self, hidden: Float[Tensor, "row channel"], ids: Int[Tensor, " row"], *, temperature: float = 1.0
    ) -> Float[Tensor, " row"]:
        """Log-probability of each row's token in nats, float32; logits are held for a chunk of rows at a time."""
        head = self.base.get_output_embeddings()
        return token_log_probs(head, hidden, ids, temperature=temperature, transform=self.logit_transform)

    def category_logits(
        self, hidden: Float[Tensor, "*rows channel"], token_ids: Int[Tensor, " category"]
    ) -> Float[Tensor, "*rows category"]:
        """Logits of a few tokens in float32, from C rows of the head instead of the whole vocabulary."""
        head = self.base.get_output_embeddings()
        if isinstance(head, BaseTunerLayer):  # an adapter on it is in no row of its weight
            return self.logit_transform(head(hidden).float()[..., token_ids])
        return self.logit_transform(call_as_forward(head, some_logits, hidden, token_ids))

    # Modes

    @contextmanager
    def eval_mode(self) -> Iterator[None]:
        """Inside, the policy is in evaluation mode: dropout would otherwise change what it writes."""
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)

    @contextmanager
    def adapter_off(self) -> Iterator[None]:
        """Inside, the model is exactly the base model.

        Raises:
            InputError: Full fine-tuning, which keeps no base model.
        """
        if not isinstance(self.model, PeftModel):
            raise InputError("full fine-tuning keeps no base model to compare with.", where="policy.adapter")
        with adapter_disabled(self.model, self._base_biases):
            yield

    # Saving

    def save(self, folder: Path) -> None:
        """Write the adapter in PEFT's layout, or the full model under full fine-tuning, as safetensors."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)

    def load_weights(self, folder: Path) -> None:
        """Read what `save` wrote, or another PEFT adapter with its own settings.

        Raises:
            InputError: It is missing, belongs to another policy, or contradicts the policy's settings.
        """
        if not isinstance(self.model, PeftModel):
            load_model(self.model, folder)
            return
        loaded = load_adapter(self.model, folder, self.adapter, beside=self.beside)
        self.model, self._base_biases, self._start = loaded.model, loaded.base_biases, folder
        join_products(self.model)
        self.load_notes += [note for note in loaded.notes if note not in self.load_notes]
        self._root = (Root(self.model),)
        check_adapter(self)
