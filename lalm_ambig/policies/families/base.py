"""The description of a family of audio-language models: names of its parts, and the few steps that differ.

Every family is an encoder of sound, a projector into the decoder's embeddings, and a token in the prompt whose
embeddings are replaced. `AudioModel` does all that is alike. A family says where the parts are, how sound becomes the
encoder's input, how many tokens it takes, and what else the class's own forward does on the way.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import transformers
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoFeatureExtractor, AutoTokenizer
from transformers.processing_utils import ProcessorMixin
from transformers.utils import cached_file

from lalm_ambig.audio.inspection import MAX_S
from lalm_ambig.core.errors import InputError
from lalm_ambig.files import atomic
from lalm_ambig.policies.audio.mel import RATE_HZ
from lalm_ambig.policies.audio.side_path import trained_copy

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
"""Files of a processor; a checkpoint has some of them."""


@dataclass(frozen=True)
class Sizes:
    """Names of the encoder's measures in the configuration, for estimates of memory."""

    part: str = "audio_config"
    """The encoder's part of the configuration."""
    layers: str = "encoder_layers"
    hidden: str = "d_model"
    inner: str = "encoder_ffn_dim"
    """Channels inside the feed-forward part; a whole number is a multiple of `hidden`."""
    output: str = "output_dim"
    """Channels of the last layer's output, where they differ from `hidden`."""


class AudioFamily(ABC):
    """One family. The class can be asked without weights; an instance belongs to a model that was read."""

    model_type: ClassVar[str]
    """`model_type` of the configuration of the class."""
    class_name: ClassVar[str]
    """The class of transformers that is read."""
    title: ClassVar[str]
    """Name of the family, for messages."""
    decoder: ClassVar[str] = "model.language_model"
    tower: ClassVar[str] = "model.audio_tower"
    """The encoder of sound."""
    layers: ClassVar[str] = "layers"
    """The encoder's layers, inside `tower`."""
    projectors: ClassVar[tuple[str, ...]] = ("model.multi_modal_projector",)
    """The modules between encoder and decoder; none where the encoder ends in the decoder's channels."""
    unused: ClassVar[tuple[str, ...]] = ()
    """Modules that neither text nor sound passes through, such as eyes. They are never trained."""
    stays: ClassVar[tuple[str, ...]] = ()
    """Those of `unused` that the class's forward calls on any text, so that they stay on a GPU."""
    float_projector: ClassVar[bool] = False
    """Whether the projector is computed in float32 in any case; a trained one always is."""
    tokens_per_s: ClassVar[float] = 25.0
    """Audio tokens per second of sound."""
    fills_window: ClassVar[bool] = False
    """Whether every clip takes as many tokens as the longest."""
    least_samples: ClassVar[int] = 161
    """Samples of the shortest clip that is heard; a shorter one takes no token, and is refused."""
    takes_ids: ClassVar[bool] = False
    """Whether the decoder needs token ids beside embeddings, of audio tokens too."""
    own_adapter: ClassVar[bool] = False
    """Whether checkpoints may have LoRA of their own beside their weights, which `prepare` merges."""
    adapter_folder: ClassVar[str] = ""
    """Where it is inside the checkpoint; empty for beside the weights."""
    marker: ClassVar[str | None] = None
    """Text that stands for the sound in a turn, for a template that takes strings only."""
    template: ClassVar[str | None] = None
    """Chat template for checkpoints that come without one."""
    sizes: ClassVar[Sizes] = Sizes()
    downloads_gb: ClassVar[Mapping[str, float]] = {}
    """Download size of the family's hub ids in GB."""
    tested: ClassVar[bool] = True
    """Whether the project's tests compare it with the class's own forward."""

    def __init__(self, model: Any, tokenizer: Any, extractor: Any) -> None:
        """Args:
        model: The model, as transformers reads it.
        tokenizer: The checkpoint's tokenizer.
        extractor: The feature extractor, from samples to frames.
        """
        self.model, self.tokenizer, self.extractor = model, tokenizer, extractor
        self.config = model.config

    # The class and its files

    @classmethod
    def model_class(cls) -> Any:
        """The class of transformers."""
        return getattr(transformers, cls.class_name)

    @classmethod
    def load_front(cls, source: str) -> tuple[Any, Any]:
        """Read the tokenizer, with its chat template, and the feature extractor."""
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        if tokenizer.chat_template is None:  # kept with the processor, which may also want eyes
            tokenizer.chat_template = ProcessorMixin.get_processor_dict(source)[0].get("chat_template")
        tokenizer.chat_template = tokenizer.chat_template or cls.template
        return tokenizer, AutoFeatureExtractor.from_pretrained(source, trust_remote_code=False)

    def save_front(self, source: str, folder: Path) -> None:
        """Write what makes a folder of weights and tokenizer a complete checkpoint.

        Args:
            source: The checkpoint that was read, whose files of the processor are copied.
            folder: The folder.
        """
        self.extractor.save_pretrained(folder)
        for name in PROCESSOR_FILES:
            if (found := found_file(source, name)) is not None:
                atomic.write_bytes(folder / name, found.read_bytes())

    @classmethod
    def check_settings(cls, source: str, settings: Mapping[str, Any]) -> None:
        """Refuse a checkpoint of the family that cannot hear.

        Args:
            source: The checkpoint, for messages.
            settings: Its config.json.

        Raises:
            InputError: It lacks what hears.
        """
        if settings.get(cls.sizes.part, True) is None:
            raise InputError(
                f"{source} is a {cls.title} without ears: its config.json has no {cls.sizes.part}.",
                where="policy.path",
                remedy="Give one that hears.",
            )

    @classmethod
    def prepare(cls, model: Any, source: str) -> list[str]:
        """Bring a model that was just read into the state in which it hears; returns lines for the user."""
        return []

    @classmethod
    def own_lora(cls, source: str) -> str | None:
        """Folder inside the checkpoint of LoRA of its own, empty if beside its weights; None if it has none.

        Args:
            source: The checkpoint's folder or hub id.
        """
        settings = str(Path(cls.adapter_folder, "adapter_config.json"))
        return cls.adapter_folder if cls.own_adapter and found_file(source, settings) else None

    @classmethod
    def token_id(cls, config: Any) -> int:
        """The token whose embeddings are replaced."""
        return int(config.audio_token_id)

    # Prompts

    def wrapped(self, mark: str) -> str:
        """Text that the family's processor writes for one audio token, with the tokens around the sound.

        Args:
            mark: The audio token as text.
        """
        return mark

    # Sound

    @property
    def window_s(self) -> float:
        """Longest sound that is heard at once, in seconds: corpora are cut to 30 s in any case."""
        return float(MAX_S)

    @abstractmethod
    def frames(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "mel frame"]:
        """The encoder's input for a clip, as long as the clip where the encoder allows it.

        Args:
            samples: A 16 kHz mono clip, not longer than the window.
        """

    @abstractmethod
    def tokens(self, frames: Float[Tensor, "mel frame"]) -> int:
        """Audio tokens of a clip in the prompt."""

    @abstractmethod
    def inputs(self, clips: Sequence[Float[Tensor, " _"]]) -> dict[str, Tensor]:
        """Arguments of the class's own forward for these clips, as its processor prepares them."""

    def together(self, frames: Sequence[Float[Tensor, "mel _"]]) -> list[list[int]]:
        """Positions of clips that one pass of the encoder takes. By default those of equal length.

        An encoder that does not know where a clip ends hears the padding of a longer neighbour's batch.
        """
        groups: dict[int, list[int]] = {}
        for place, clip in enumerate(frames):
            groups.setdefault(clip.shape[-1], []).append(place)
        return list(groups.values())

    @abstractmethod
    def encode(
        self, tower: Any, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> list[Float[Tensor, "audio_token channel"]]:
        """Features of the encoder's last layer before the projector, one tensor per clip.

        Args:
            tower: The encoder.
            frames: Clips that one pass takes (see `together`).
        """

    def sounding(self, features: Float[Tensor, "token channels"]) -> Float[Tensor, "_ channels"]:
        """Rows of a clip's features that hold sound, without those that only fill a window, for means over tokens."""
        return features

    def other_weights(self) -> dict[str, Tensor]:
        """Weights beside those of `tower` that `encode` computes with, by name."""
        return {}

    def states(
        self, states: Tensor, frames: Sequence[Float[Tensor, "mel _"]]
    ) -> Sequence[Float[Tensor, "position channel"]]:
        """A layer's states of several clips, clip by clip; there may be padding behind a clip's own positions.

        Args:
            states: What the layer computed.
            frames: The clips.
        """
        return states.unbind()

    @classmethod
    def states_per_token(cls, config: Any) -> int:
        """States of the encoder's layers per audio token."""
        return 2

    @classmethod
    def longest_s(cls, config: Any) -> float:
        """Seconds of sound that the configuration allows."""
        return float(MAX_S)

    @classmethod
    def layer_channels(cls, config: Any) -> int:
        """Channels of a layer of the encoder."""
        return int(getattr(getattr(config, cls.sizes.part), cls.sizes.hidden))

    @classmethod
    def feature_channels(cls, config: Any) -> int:
        """Channels of an audio token's features, as `encode` gives them."""
        part, sizes = getattr(config, cls.sizes.part), cls.sizes
        return int(getattr(part, sizes.output, 0) or getattr(part, sizes.hidden))

    def project(self, features: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        """Features of the last layer as input embeddings."""
        projector = self.module(self.projectors[0])
        projected: Tensor = projector(features.to(weight_type(projector)))
        return projected

    # The decoder

    def embed_ids(self, ids: Int[Tensor, "*item token"]) -> Float[Tensor, "*item token channel"]:
        """Embeddings of text tokens."""
        embeddings: Tensor = self.model.get_input_embeddings()(ids)
        return embeddings

    def decoder_inputs(self, ids: Int[Tensor, "row token"]) -> dict[str, Any]:
        """Further arguments of the decoder for these tokens, where it `takes_ids`."""
        return {}

    def positions(self, positions: Int[Tensor, "item token"]) -> Tensor:
        """Positions in the shape that the decoder takes."""
        return positions

    @contextmanager
    def merged_embeddings(self, heard: list[Tensor]) -> Iterator[None]:
        """Inside, note the embeddings that the class's own forward hands to its decoder.

        Args:
            heard: The list to which they are added.
        """

        def note(_: nn.Module, __: Any, named: dict[str, Any]) -> None:
            heard.append(named["inputs_embeds"].clone())

        handle = self.module(self.decoder).register_forward_pre_hook(note, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    # Helpers

    def module(self, path: str) -> nn.Module:
        """A module of the model; a trained projector is its trained copy."""
        found: nn.Module = self.model.get_submodule(path)
        return found

    def extracted(self, samples: Float[Tensor, " sample"], **settings: Any) -> Mapping[str, Any]:
        """What the feature extractor makes of one clip."""
        out: Mapping[str, Any] = self.extractor(
            samples.numpy(), sampling_rate=RATE_HZ, return_tensors="pt", **settings
        )
        return out


def found_file(source: str, name: str) -> Path | None:
    """A file of a folder or of a hub's repository; None if there is none.

    Args:
        source: The folder or hub id.
        name: Path of the file inside.
    """
    found = cached_file(
        source,
        name,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if found is None else Path(found)


def stacked(
    frames: Sequence[Float[Tensor, "mel frame"]], like: Tensor
) -> Float[Tensor, "clip frame channel"]:
    """Clips of equal length as a batch with frames first, of the type and on the device of a weight."""
    return torch.stack(list(frames)).transpose(1, 2).to(like.device, like.dtype)


def weight_type(module: nn.Module) -> torch.dtype:
    """Type of a module's weights; of a projector that is trained, that of its trained copy."""
    return next(p for p in trained_copy(module).parameters() if p.is_floating_point()).dtype
