"""The audio interface of a policy, with the answers of one that takes text only; `AudioModel` overrides them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor, nn

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.weights.lora import Beside


class TextOnly:
    """A policy without audio encoder: each request for one is an InputError in one line."""

    window_s: float = 0.0
    """Longest audio that the model takes, in seconds; 0 for a text-only model."""
    side_layers: tuple[int, ...] = ()
    """Layers of the audio encoder that are heard beside the last one (see `audio.side_path`)."""
    aside: Mapping[str, tuple[nn.Module]] = MappingProxyType({})
    """Frozen modules that nothing reads at present, by name: on the CPU, in a tuple that keeps them no submodules."""
    standardise_audio: bool = False
    """Whether training starts with a fresh projector on standardised features (see `standardise`)."""

    @property
    def projector_names(self) -> tuple[str, ...]:
        """Last names of the modules between audio encoder and language model."""
        return ()

    @property
    def tower_name(self) -> str:
        """Path of the audio encoder in the model; empty without one."""
        return ""

    @property
    def unused_names(self) -> tuple[str, ...]:
        """Paths of modules that neither text nor sound passes through."""
        return ()

    @property
    def own_lora(self) -> str | None:
        """Folder inside the checkpoint of LoRA of its own, empty if beside its weights; None if it has none."""
        return None

    @property
    def beside(self) -> Beside:
        """Names of the modules for sound, for an adapter."""
        return Beside(self.projector_names, self.tower_name, self.unused_names)

    @property
    def takes_ids(self) -> bool:
        """Whether the decoder needs token ids beside the embeddings of sound."""
        return False

    @property
    def description(self) -> str:
        """One line for tables and records."""
        return type(self).__name__

    def log_mel(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        """Log-mel frames of a 16 kHz mono clip, with as many frames as the clip itself has."""
        raise self.text_only_error()

    def audio_tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        """Number of placeholder tokens that a clip takes in the prompt."""
        raise self.text_only_error()

    def encode_audio(
        self, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        """Features of the audio encoder before the projector, one tensor per clip."""
        raise self.text_only_error()

    def sounding(self, features: Float[Tensor, "token channels"]) -> Float[Tensor, "_ channels"]:
        """Rows of a clip's features that hold sound, without those that only fill a window, for means over tokens."""
        return features

    def set_tower_aside(self) -> None:
        """Free a GPU of the frozen audio encoder, whose features are all on disk; what needs it brings it back."""

    def encoder_fingerprint(self) -> str:
        """Hash that changes whenever cached features of `encode_audio` become invalid."""
        raise InputError(f"{self.description} has no audio encoder.", where="policy")

    @property
    def needs_moments(self) -> bool:
        """Whether training starts from the moments of the audio features (see `standardise`)."""
        return False

    def standardise(self, mean: Float[Tensor, " channel"], deviation: Float[Tensor, " channel"]) -> None:
        """Start what is trained on audio features that have mean 0 and deviation 1 over the training clips.

        Args:
            mean: Mean of each channel over the training clips.
            deviation: Standard deviation of each channel.
        """
        raise InputError(f"{self.description} has no projector to standardise.", where="policy")

    def standardise_as_saved(self, tensors: Mapping[str, Tensor]) -> None:
        """Standardise with the moments among a checkpoint's tensors; without moments or projector nothing is done."""

    def text_only_error(self) -> InputError:
        """The error for an item with audio."""
        return InputError(
            f"{self.description} takes text only, but an item has audio.",
            where="policy",
            remedy="Choose a policy that hears (configs/policy/qwen2_audio.yaml), or items without sound.",
        )
