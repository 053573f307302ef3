"""What every base model offers: chat tokens, embeddings, hidden states and the head, each on request.

The parts are called one by one, so that nobody pays for logits of prompt tokens, for a 30 s window around a 2 s
clip, or for a second copy of the reference. Only this package imports transformers or peft.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.policies.attention.abilities import Abilities
from lalm_ambig.policies.attention.native_forward import ANOTHER, LogitTransform, NativeForward
from lalm_ambig.policies.attention.tree import Segment, disable_layout_attention, enable_layout_attention
from lalm_ambig.policies.chat.chat import Chat
from lalm_ambig.policies.log_probs import some_logits, token_log_probs
from lalm_ambig.policies.self_check.examination import check_adapter, self_check
from lalm_ambig.policies.weights.lora import Adapter, attach_adapter, load_model
from lalm_ambig.policies.weights.saved_adapter import load_adapter, trained_biases
from lalm_ambig.policies.weights.sharding import Root, call_as_forward
from lalm_ambig.readouts.response import TAGS, Tags

Result = TypeVar("Result")


class Policy(nn.Module, ABC):
    """A language model, perhaps with ears, and the adapter that is trained.

    Building one only notes the settings; `load` reads weights, so that a mistake elsewhere is found first.
    """

    tokenizer: Any
    model: Any
    chat: Chat
    """Prompts by the checkpoint's chat template, and the ids of texts (made by `load_base`)."""
    ends: Sequence[int]
    """Tokens that end the model's turn, the template's own first (found by `load_base`)."""
    window_s: float = 0.0
    """Longest audio the model hears, in seconds; 0 for a text-only model."""
    tags: Tags = TAGS
    """Around reasoning and answer."""
    projector_name: str = "multi_modal_projector"

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter
        self.loaded = False
        self.abilities = Abilities()
        """What was found of this checkpoint when it was loaded (see `self_check`)."""
        self.load_notes: list[str] = []
        """What a user should know of how weights and adapter were read, a line each."""
        self._start: Path | None = None
        """Saved weights that were put in over the base's."""
        self._base_biases: dict[str, Tensor] = {}
        """The base's own biases, where a saved adapter changes them."""
        self.checked_device_type = ""
        """Kind of the device that `abilities` were found on."""
        self._root: tuple[Root, ...] = ()
        self.zero_offload: Any = None
        """DeepSpeed's object that divides the weights over processes, while ZeRO-3 does (see `sharding`)."""

    def check_reachable(self) -> None:
        """InputError in seconds where the checkpoint is on a hub that gives no answer; most policies need none."""

    @abstractmethod
    def load_base(self) -> tuple[Any, Any]:
        """Read tokenizer and model, in that order. Raises InputError for a path that holds none."""

    @property
    @abstractmethod
    def language_model(self) -> nn.Module:
        """The decoder without its head."""

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder's layers."""
        lists = [module for module in self.language_model.modules() if isinstance(module, nn.ModuleList)]
        if not lists:
            raise InputError(
                f"{self.description} has no list of layers that could be found.",
                where="policy.path",
                remedy=ANOTHER,
            )
        return max(lists, key=lambda layers: sum(p.numel() for p in layers.parameters()))

    def load(self) -> None:
        """Read the weights and attach the adapter, once; later calls do nothing."""
        if self.loaded:
            return
        self.check_reachable()
        self.tokenizer, base = self.load_base()
        base.requires_grad_(False)
        self.model = base
        self.model, notes = attach_adapter(
            base, self.adapter, decoder=self.language_model, projector=self.projector_name
        )
        self.load_notes += notes
        if self.adapter.checkpoint_activations:
            self._checkpoint_activations()
        self._root = (Root(self.model),)
        self.native_forward = NativeForward(self.base)
        self.check()
        self.loaded = True

    def _checkpoint_activations(self) -> None:
        decoder: Any = self.language_model
        try:
            decoder.activation_checkpointing_enable()
        except ValueError as error:
            raise InputError(
                f"{self.description} cannot compute activations again: {error}",
                where="policy.adapter",
                remedy="Set checkpoint_activations to false.",
            ) from error

    def check(self) -> None:
        """Try the checkpoint out on the device that it is on, once for all processes, and use it as that shows.

        All processes must call, each with whole weights. InputError where the checkpoint cannot be used.
        """
        self.abilities = distributed.on_rank_zero(lambda: self_check(self))
        self.checked_device_type = self.device.type
        (enable_layout_attention if self.abilities.shares else disable_layout_attention)(
            self.attention_config
        )

    def check_again_if_moved(self) -> None:
        """`check` again where the policy has been moved to a device of another kind since."""
        if self.device.type != self.checked_device_type:
            self.check()

    @property
    def attention_config(self) -> Any:
        """The settings from which the decoder's layers take their attention."""
        return self.language_model.config

    def native_states(
        self, ids: Int[Tensor, " token"], clip_s: float
    ) -> tuple[Segment, Int[Tensor, " whole"], Float[Tensor, "whole channel"]]:
        """A text by the class's own forward on ids and sound, alone: as a segment, its tokens, and its states.

        Args:
            ids: Tokens of text.
            clip_s: Seconds of sound before them, for a policy with ears; 0 for none.
        """
        states, _ = self.native_forward(input_ids=ids[None], use_cache=False)
        return Segment(self.embed_ids(ids), None, ids), ids, states[0]

    @property
    def logit_transform(self) -> LogitTransform:
        """What the model does to its head's product."""
        return self.abilities.logit_transform

    @property
    def shares_prompts(self) -> bool:
        """Whether several texts may lie in one row, and what they share be computed once."""
        return self.abilities.shares

    def reload(self) -> None:
        """Read the weights anew, whole, after a strategy has divided or rewritten those that were trained."""
        self.loaded, self.zero_offload, self.load_notes = False, None, []
        self.load()
        if self._start is not None:  # its settings say what trained weights mean
            self.load_weights(self._start)

    def forward(self, step: Callable[[], Result]) -> Result:
        """A step as the forward pass of the whole policy: what a strategy does before and behind one surrounds it."""
        result: Result = self.root(step)
        return result

    @property
    def root(self) -> Root:
        """The whole model as one module, which the policy does not hold as a part of it."""
        return self._root[0]

    @property
    def base(self) -> Any:
        """The transformers model, with the adapter's layers inside it where there is one."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def description(self) -> str:
        """One line for tables and records."""
        return type(self).__name__

    # Prompts

    def prompt_ids(
        self, parts: Sequence[dict[str, str]], *, audio_tokens: int = 0, at_once: bool = False
    ) -> list[int]:
        """Token ids of a user's turn made of text and audio parts, up to where the model's answer begins.

        Args:
            parts: Text and audio; text of others has been through `as_text`.
            audio_tokens: How many placeholders the audio takes.
            at_once: The answer comes without reasoning: a thought that the template opens is closed.
        """
        if audio_tokens or any(part["type"] != "text" for part in parts):
            raise self._deaf()
        return self.chat.prompt_ids(parts, at_once=at_once)

    def text_ids(self, text: str) -> list[int]:
        """Token ids of a text that goes on from another, without special tokens added around it."""
        return self.chat.text_ids(text)

    def as_text(self, text: str) -> str:
        """A text of others, such that no control token in it counts as one (see `TextIds.as_text`)."""
        return self.chat.text_ids.as_text(text)

    def fence(self, before: str, after: str) -> str:
        """What must stand around a text of others between these two (see `TextIds.fence`)."""
        return self.chat.text_ids.fence(before, after)

    @property
    def end_ids(self) -> list[int]:
        """Tokens that end the model's turn."""
        return list(self.ends)

    @property
    def pad_id(self) -> int:
        """A token for places that are masked: any will do where the tokenizer has none."""
        pad = self.tokenizer.pad_token_id
        return self.end_ids[0] if pad is None else int(pad)

    @property
    def notes(self) -> list[str]:
        """What a user should know of a loaded policy, one line each."""
        return [*self.chat.notes, *self.load_notes, *self.abilities.notes]

    # Audio: text-only models keep these

    def log_mel(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        """16 kHz mono samples as the encoder's input, on the clip's own number of frames."""
        raise self._deaf()

    def _deaf(self) -> InputError:
        return InputError(
            f"{self.description} takes text only, but an item has audio.",
            where="policy",
            remedy="Choose a policy that hears (configs/policy/qwen2_audio.yaml), or items without sound.",
        )

    def audio_tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        """How many placeholder tokens a clip takes in the prompt."""
        raise self._deaf()

    def encode_audio(self, frames: Sequence[Tensor]) -> list[Float[Tensor, "audio_token channel"]]:
        """The audio encoder's features, before the projector, one tensor a clip."""
        raise self._deaf()

    def encoder_fingerprint(self) -> str:
        """Changes whenever cached features of `encode_audio` would be wrong."""
        raise InputError(f"{self.description} has no audio encoder.", where="policy")

    # Forward

    def embed(self, tokens: Tokens, audio: Audio | None = None) -> Float[Tensor, "item token channel"]:
        """Input embeddings, with the audio's features in the places of its tokens."""
        if audio is not None:
            raise self._deaf()
        return self.embed_ids(tokens.ids)

    def embed_ids(self, ids: Int[Tensor, "*item token"]) -> Float[Tensor, "*item token channel"]:
        """Embeddings of text tokens."""
        embeddings: Tensor = self.base.get_input_embeddings()(ids)
        return embeddings

    def hidden(
        self,
        embeddings: Float[Tensor, "item new channel"],
        mask: Tensor,
        *,
        ids: Int[Tensor, "item new"] | None = None,
        past: dict[str, Any] | None = None,
        has_padding: bool = True,
    ) -> Float[Tensor, "item new channel"]:
        """What the head reads for each new token.

        `mask` [item, token] covers everything the new tokens may see: what is in the cache, then themselves.
        Positions count the unmasked tokens, so padding on either side changes nothing for a model that obeys the mask.

        Args:
            embeddings: Of the new tokens.
            mask: True on tokens, False on padding.
            ids: The new tokens, where they say all of it (see `Segment.ids`).
            past: What an earlier call left there is gone on from, and what the next one needs is put there; an
                empty one starts. None where nothing will go on.
            ragged: Whether the mask may have padding; without, the decoder is given none.
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
        self, embeddings: Tensor, ids: Tensor | None, **settings: Any
    ) -> tuple[Float[Tensor, "row token channel"], dict[str, Any]]:
        """A pass of the decoder: what the head reads, and what decoding goes on from.

        Args:
            embeddings: Of the tokens.
            ids: The tokens, where they say all of it; None otherwise.
            settings: As the decoder takes them.
        """
        out = self.language_model(inputs_embeds=embeddings, **settings)
        return out.last_hidden_state, {} if out.cache is None else {"cache": out.cache}

    def rotary_positions(self, positions: Int[Tensor, "item token"]) -> Tensor:
        """Positions in the form that the decoder takes."""
        return positions

    def logits(self, hidden: Float[Tensor, "*rows channel"]) -> Float[Tensor, "*rows vocabulary"]:
        """Logits over the whole vocabulary, for the given rows only."""
        rows: Tensor = self.base.get_output_embeddings()(hidden)
        return rows if self.logit_transform.is_identity else self.logit_transform(rows.float())

    def token_log_probs(
        self, hidden: Float[Tensor, "row channel"], ids: Int[Tensor, " row"], *, temperature: float = 1.0
    ) -> Float[Tensor, " row"]:
        """Log-probability in nats of each row's token, in float32, a chunk of the vocabulary's logits at a time."""
        head = self.base.get_output_embeddings()
        return token_log_probs(head, hidden, ids, temperature=temperature, transform=self.logit_transform)

    def category_logits(
        self, hidden: Float[Tensor, "*rows channel"], token_ids: Int[Tensor, " category"]
    ) -> Float[Tensor, "*rows category"]:
        """Logits of a few tokens in float32: C rows of the head, never the vocabulary."""
        head = self.base.get_output_embeddings()
        if isinstance(head, BaseTunerLayer):  # an adapter on it is in no row of its weight
            return self.logit_transform(head(hidden).float()[..., token_ids])
        return self.logit_transform(call_as_forward(head, some_logits, hidden, token_ids))

    # Modes

    @contextmanager
    def eval_mode(self) -> Iterator[None]:
        """Inside, the policy is in evaluation mode: dropout would otherwise act on what it writes."""
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)

    # Reference and saving

    @contextmanager
    def adapter_off(self) -> Iterator[None]:
        """Inside, the model is the base model exactly. InputError under full fine-tuning, which has no base left."""
        if not isinstance(self.model, PeftModel):
            raise InputError("full fine-tuning keeps no base model to compare with.", where="policy.adapter")
        with ExitStack() as off:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Careful, disabling adapter layers with bias")  # done next
                off.enter_context(self.model.disable_adapter())
            off.enter_context(self._untrained_biases())
            yield

    @contextmanager
    def _untrained_biases(self) -> Iterator[None]:
        """Inside, biases that an adapter trains are the base's: PEFT switches its matrices off, and no biases."""
        trained = trained_biases(self.model) if self._base_biases else {}
        values = {name: parameter.data for name, parameter in trained.items()}
        try:
            for name, parameter in trained.items():
                parameter.data = self._base_biases[name].to(parameter.device, parameter.dtype)
            yield
        finally:
            for name, parameter in trained.items():
                parameter.data = values[name]

    def save(self, folder: Path) -> None:
        """Write the adapter in PEFT's layout, or the whole model under full fine-tuning; safetensors either way."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)

    def load_weights(self, folder: Path) -> None:
        """Read back what `save` wrote, or another adapter of PEFT, whose own settings are used.

        InputError where it is missing, belongs to another policy, or contradicts the policy's settings.
        """
        if not isinstance(self.model, PeftModel):
            load_model(self.model, folder)
            return
        loaded = load_adapter(self.model, folder, self.adapter, projector=self.projector_name)
        self.model, self._base_biases, self._start = loaded.model, loaded.base_biases, folder
        self.load_notes += [note for note in loaded.notes if note not in self.load_notes]
        self._root = (Root(self.model),)
        check_adapter(self)
