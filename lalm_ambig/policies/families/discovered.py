"""A family without a file of its own, found by the methods of its class, which nobody has tried.

It fits where the class has `get_audio_features` of the extractor's frames (and their mask), an encoder, a decoder and
an audio token. What is cached is then what the decoder gets, so encoder and projector are one. The self-check and
`doctor` compare it with the class's own forward, as any other.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio.mel import RATE_HZ
from lalm_ambig.policies.families.base import AudioFamily

TOWERS = ("model.audio_tower", "model.encoder")
FRAMES, MASK = "input_features", "input_features_mask"


class DiscoveredFamily(AudioFamily):
    """Made for one `model_type` by `discover`."""

    projectors = ()
    tested = False
    least_samples = 640

    def __init__(self, model: Any, tokenizer: Any, extractor: Any) -> None:
        super().__init__(model, tokenizer, extractor)
        self.counts: dict[tuple[int, ...], int] = {}
        """Tokens of clips by the shape of their frames and the number of real ones."""

    @classmethod
    def layer_channels(cls, config: Any) -> int:
        raise InputError(
            f"{cls.title} has no description of its own, so its encoder's layers cannot be heard:",
            where="policy.audio_layers",
            remedy="write last, or a file for it in lalm_ambig/policies/families.",
        )

    def frames(self, samples: Float[Tensor, " sample"]) -> Float[Tensor, "channel_and_mask frame"]:
        """The extractor's frames with their last axis as time, and a row that is 1 on the clip's own."""
        made = self.inputs([samples])
        frames = made[FRAMES][0]
        mask = made.get(MASK)
        length = frames.shape[-1] if mask is None else mask.shape[-1]
        by_time = frames if frames.shape[-1] == length and frames.shape[0] != length else frames.T
        own = torch.ones(length) if mask is None else mask[0]
        return torch.cat([by_time, own[None].to(by_time.dtype)])

    def inputs(self, clips: Sequence[Float[Tensor, " _"]]) -> dict[str, Tensor]:
        made = self.extractor(
            [clip.numpy() for clip in clips],
            sampling_rate=RATE_HZ,
            return_attention_mask=True,
            return_tensors="pt",
        )
        mask = made.get(MASK, made.get("attention_mask"))
        return {FRAMES: made[FRAMES], **({} if mask is None else {MASK: mask})}

    def tokens(self, frames: Float[Tensor, "channel_and_mask frame"]) -> int:
        """Counted by a pass of the encoder, once for each length."""
        key = (*frames.shape, int((frames[-1] > 0).sum()))
        if key not in self.counts:
            with torch.no_grad():
                self.counts[key] = len(self.encode(None, [frames])[0])
        return self.counts[key]

    def encode(
        self, tower: Any, frames: Sequence[Float[Tensor, "channel_and_mask _"]]
    ) -> list[Float[Tensor, "audio_token model"]]:
        """Embeddings of each clip by the class's own method."""
        return [self._heard(clip) for clip in frames]

    def other_weights(self) -> dict[str, Tensor]:
        """All that is neither encoder nor decoder, such as the projector."""
        others = (self.tower, self.decoder, *self.unused)
        names = tuple(f"{name.removeprefix('model.')}." for name in others)
        weights = self.model.model.state_dict()
        return {name: weight for name, weight in weights.items() if not name.startswith(names)}

    def _heard(self, frames: Float[Tensor, "channel_and_mask frame"]) -> Float[Tensor, "audio_token model"]:
        like = next(p for p in self.model.parameters() if p.is_floating_point())
        own = frames[:-1].to(like.device, like.dtype)
        given = {
            FRAMES: (own if self.channels_first else own.T)[None],
            MASK: (frames[-1:] > 0).to(like.device),
        }
        takes = inspect.signature(self.model.model.get_audio_features).parameters
        out = self.model.model.get_audio_features(**{k: v for k, v in given.items() if k in takes})
        heard: Tensor = out.last_hidden_state if out.pooler_output is None else out.pooler_output
        return heard.reshape(-1, heard.shape[-1])

    @property
    def channels_first(self) -> bool:
        """Whether the class takes frames with their channels before the time."""
        made: Tensor = self.inputs([torch.zeros(RATE_HZ)])[FRAMES][0]
        return made.shape[0] < made.shape[1]

    def project(self, features: Float[Tensor, "audio_token channel"]) -> Float[Tensor, "audio_token model"]:
        return features


def discover(source: str, settings: Mapping[str, Any]) -> type[AudioFamily] | None:
    """Return a description of a class by its own methods; None where it does not fit.

    Args:
        source: A folder or hub id.
        settings: Its config.json.

    Raises:
        InputError: transformers cannot build a model from it.
    """
    kind = str(settings["model_type"])
    found = getattr(transformers, MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES.get(kind, ""), None)
    if found is None or not hasattr(found, "get_audio_features"):
        return None
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        with torch.device("meta"):
            model = found._from_config(config)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        makes = f"{source} ({kind}): its config.json makes no {found.__name__}: {error}"
        raise InputError(makes.splitlines()[0], where="policy.path") from error
    modules = dict(model.named_modules())
    towers = [name for name in TOWERS if name in modules]
    wanted = inspect.signature(
        getattr(model.model, "get_audio_features", found.get_audio_features)
    ).parameters
    needed = {n for n, p in wanted.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
    fits = towers and "model.language_model" in modules and needed <= {FRAMES, MASK}
    if not fits or getattr(config, "audio_token_id", None) is None:
        return None
    lists = [name for name, child in modules[towers[0]].named_children() if isinstance(child, nn.ModuleList)]
    described = {
        "model_type": kind,
        "class_name": found.__name__,
        "title": kind,
        "tower": towers[0],
        "layers": lists[0] if lists else "layers",
        "unused": tuple(name for name in ("model.visual", "model.vision_tower") if name in modules),
    }
    return type(f"Discovered_{kind}", (DiscoveredFamily,), described)
