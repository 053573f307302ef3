"""The kind of model that a config.json describes: one that writes text, one that takes audio, or another.

`AutoModelForCausalLM` reads more than models that write text from left to right: it gives an encoder a fresh head, and
reads a classifier as the model that it was made from.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from lalm_ambig.core.discovery import classes_of
from lalm_ambig.core.errors import InputError

WHERE = "policy.path"
OTHER_HEADS = re.compile(
    r"For(Sequence|Token|Audio|Image|Video)Classification|ForQuestionAnswering|ForMaskedLM|ForMultipleChoice|"
    r"ForNextSentencePrediction|ForPreTraining|ForCTC|ForSequenceRegression|RewardModel"
)
"""Names of classes whose head scores or fills in, but writes no text."""
CHAT = "Give a chat model that writes text from left to right."


def check_text_model(source: str, config: Mapping[str, Any]) -> None:
    """Accept only settings of a model that writes text and that `AutoModelForCausalLM` reads.

    Raises:
        InputError: Any other kind of model.
    """
    kind = config["model_type"]
    if policy := audio_policy_file(config):
        raise InputError(
            f"{source} hears ({kind}), and is read by a policy of its own.",
            where=WHERE,
            remedy=f"Use {policy}.",
        )
    if heads := [name for name in config.get("architectures") or [] if OTHER_HEADS.search(str(name))]:
        raise InputError(f"{source} is a {heads[0]}, whose head writes no text.", where=WHERE, remedy=CHAT)
    if _is_encoder_decoder(config):
        raise InputError(f"{source} ({kind}) is an encoder with a decoder.", where=WHERE, remedy=CHAT)
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        what = "takes pictures or sound besides text, and" if _has_senses(config) else "is of a kind that"
        raise InputError(
            f"{source} ({kind}) {what} AutoModelForCausalLM does not read.",
            where=WHERE,
            remedy="Give a text model: what a family calls its text or language model.",
        )
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not _default(config, "is_decoder"):
        raise InputError(
            f"{source} ({kind}) is an encoder: it sees the whole text and writes none.",
            where=WHERE,
            remedy=CHAT,
        )


def check_audio_model(source: str, config: Mapping[str, Any], kind: Any) -> None:
    """Accept only settings of that class, alone or as a part of a larger model's.

    Args:
        source: The checkpoint's path, for messages.
        config: Its settings.
        kind: Description of the family that is wanted.

    Raises:
        InputError: Any other kind of model.
    """
    wanted, found = kind.model_type, config["model_type"]
    if wanted in kinds_of(config):
        return
    if other := audio_policy_file(config):
        remedy = f"Use {other}."
    elif found in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        remedy = "A text model goes with configs/policy/causal_lm.yaml."
    else:
        remedy = f"Give a checkpoint of {wanted}."
    raise InputError(f"{source} is of the type {found}, not {wanted}.", where=WHERE, remedy=remedy)


def audio_policy_file(config: Mapping[str, Any]) -> str | None:
    """Configuration file of the audio policy that reads such a checkpoint; None if there is none."""
    files = [file for kind, file in _audio_policies().items() if kind in kinds_of(config)]
    return files[0] if files else None


@cache
def _audio_policies() -> dict[str, str]:
    """Files in configs/policy by the model type of their policy."""
    from lalm_ambig import policies
    from lalm_ambig.policies.audio_model import AudioModel
    from lalm_ambig.policies.families import known_families

    own = {
        vars(cls)["kind"].model_type: f"configs/policy/{cls.__module__.rpartition('.')[2]}.yaml"
        for cls in classes_of(policies, AudioModel).values()
        if "kind" in vars(cls)
    }
    general = dict.fromkeys(known_families(), "configs/policy/audio_lm.yaml")
    return {**general, **own}


def kinds_of(config: Mapping[str, Any]) -> set[str]:
    """Model types of a configuration and of its thinker part."""
    parts = [value for key, value in config.items() if isinstance(value, Mapping) and key == "thinker_config"]
    return {str(part.get("model_type")) for part in [config, *parts]}


def _is_encoder_decoder(config: Mapping[str, Any]) -> bool:
    kind = config["model_type"]
    alone = (
        kind in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    )
    return (alone and not _has_senses(config)) or bool(_default(config, "is_encoder_decoder"))


def _has_senses(config: Mapping[str, Any]) -> bool:
    return any(key in config for key in ("vision_config", "audio_config", "text_config", "thinker_config"))


def _default(config: Mapping[str, Any], name: str) -> Any:
    """A setting of the file, or else the default of its class."""
    if name in config:
        return config[name]
    try:
        return AutoConfig.for_model(config["model_type"]).to_dict().get(name)
    except Exception:  # a class that has no defaults for all of its settings
        return None
