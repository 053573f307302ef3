"""Load a saved LoRA adapter into a model; its own `adapter_config.json` says what its weights mean.

An adapter's scale, variant and layers are settings beside the weights. The saved settings always apply: the policy's
fresh adapter is removed, and one with the saved settings is attached. If the policy's settings contradict them, nothing
is loaded.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio.side_path import PEFT_TYPE
from lalm_ambig.policies.weights.lora import Adapter, Beside, lora_b_norm, with_lora
from lalm_ambig.policies.weights.quantised_base import QuantisedLinear

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
REFUSED = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "megatron_config",
    "monteclora_config",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
"""Settings of PEFT by which an adapter is more than a term beside a layer; such adapters are refused."""
PLAIN_STARTS = (True, False, "gaussian", "orthogonal")
"""Values of `init_lora_weights` that do not change the base weights; others (PiSSA, OLoRA) do."""


@dataclass(frozen=True)
class LoadedAdapter:
    """A model with a saved adapter."""

    model: PeftModel
    base_biases: dict[str, Tensor]
    """The base model's biases by parameter name, if the adapter changes them."""
    notes: list[str]
    """Lines for its user."""


def read_settings(folder: Path) -> LoraConfig:
    """Read the settings of a saved adapter.

    Raises:
        InputError: There are none, or the adapter is of a kind that is not supported.
    """
    file = folder / SETTINGS
    if not file.is_file():
        raise InputError(f"no {SETTINGS} in {folder}", where="adapter", remedy="Give a run's adapter folder.")
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        kind = str(settings["peft_type"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"these are no settings of a PEFT adapter: {error}", where=str(file)) from error
    if kind not in ("LORA", PEFT_TYPE):
        raise InputError(f"a {kind} adapter, and only LORA is loaded here.", where=str(file), remedy=MERGE)
    unusual = [name for name in REFUSED if settings.get(name)]
    start = settings.get("init_lora_weights", True)
    if start not in PLAIN_STARTS:
        unusual.append(f"init_lora_weights: {start}")
    if unusual:
        raise InputError(f"an adapter with {unusual[0]} is not computed here.", where=str(file), remedy=MERGE)
    try:
        config = LoraConfig.from_peft_type(**settings | {"peft_type": "LORA"})
        set(config.target_modules or ()), set(config.modules_to_save or ())
    except Exception as error:  # the library reads what anybody may have written
        raise InputError(f"PEFT cannot read it: {error}", where=str(file)) from error
    assert isinstance(config, LoraConfig)
    return config


MERGE = "Merge it into its base with PEFT (merge_and_unload) and give the merged model as policy.path."


def load_adapter(model: PeftModel, folder: Path, adapter: Adapter, *, beside: Beside) -> LoadedAdapter:
    """Replace a model's fresh adapter by a saved one.

    Args:
        model: A model with a fresh adapter.
        folder: The saved adapter in PEFT's layout.
        adapter: The policy's settings, which must not contradict the saved ones.
        beside: The modules for sound.

    Returns:
        The model, with lines for its user. An adapter without effect is noted: a run whose best weights are those of
        its start has one.

    Raises:
        InputError: The folder holds no adapter, or one that contradicts the settings or has another shape.
    """
    weights = _adapter_weights(folder)
    config = read_settings(folder)
    on_tower = _trains_tower(config, beside) or any(beside.in_tower(name) for name in weights)
    _refuse_conflicts(config, adapter, folder, beside=beside, on_tower=on_tower)
    config.inference_mode, config.lora_dropout = False, adapter.dropout
    _refuse_on_quantised(model, config, folder)
    fresh = _lora_layers(model)
    base: Any = model.unload()
    base.requires_grad_(False)
    wrapped = with_lora(base, config)
    assert isinstance(wrapped, PeftModel)
    layers = _lora_layers(wrapped)
    _refuse_other_layers(layers, fresh, adapter, folder, beside=beside)
    biases = {name: p.detach().clone() for name, p in trained_biases(wrapped).items()}
    _load_state(wrapped, weights, config, folder)
    notes = _notes(config, layers, fresh)
    if lora_b_norm(wrapped) == 0:
        whole = sorted(config.modules_to_save or ())
        rest = f"only {', '.join(whole)} differs" if whole else "this is the base model"
        notes.append(f"the saved adapter's LoRA has no effect, every lora_B is zero: {rest}")
    return LoadedAdapter(wrapped, biases, notes)


def trained_biases(model: nn.Module) -> dict[str, nn.Parameter]:
    """The base model's own biases that are trained beside an adapter (`bias: all`); usually none."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    return {name: p for name, p in named if "lora_" not in name and ".modules_to_save." not in name}


@contextmanager
def adapter_disabled(model: PeftModel, base_biases: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the model is exactly the base model.

    PEFT switches the adapter's matrices off, but not the biases that it trains (`bias: all`). These are exchanged here.

    Args:
        model: A model with an adapter.
        base_biases: The base model's own biases by parameter name, where the adapter trains them.
    """
    with ExitStack() as off:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Careful, disabling adapter layers with bias")  # done next
            off.enter_context(model.disable_adapter())
        off.enter_context(_with_biases(model, base_biases))
        yield


@contextmanager
def _with_biases(model: nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, trained biases have these values."""
    parameters = trained_biases(model) if values else {}
    trained = {name: parameter.data for name, parameter in parameters.items()}
    try:
        for name, parameter in parameters.items():
            parameter.data = values[name].to(parameter.device, parameter.dtype)
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.data = trained[name]


def _refuse_conflicts(
    config: LoraConfig, adapter: Adapter, folder: Path, *, beside: Beside, on_tower: bool
) -> None:
    """Refuse a setting of the policy that differs from the saved adapter's."""
    saved: Mapping[str, Any] = {
        "rank": config.r,
        "alpha": config.lora_alpha,
        "projector": any(name in (config.modules_to_save or []) for name in beside.projectors),
        "audio_tower": on_tower,
    }
    for name, value in saved.items():
        configured = vars(adapter)[name]
        if configured != value:
            raise _conflict(name, value, configured, folder)


def _conflict(name: str, saved: Any, configured: Any, folder: Path) -> InputError:
    saved_text, text = (
        str(value).lower() if isinstance(value, bool) else f"{value:g}" for value in (saved, configured)
    )
    return InputError(
        f"policy.adapter.{name} is {text}, and the saved adapter's is {saved_text} ({SETTINGS}):",
        where=str(folder),
        remedy=f"set policy.adapter.{name} to {saved_text} (fit: --policy.adapter.{name} {saved_text}; "
        "a run: its config.yaml).",
    )


def _trains_tower(config: LoraConfig, beside: Beside) -> bool:
    """Whether a saved adapter's settings name the audio tower."""
    named = config.target_modules or ()
    listed = [named] if isinstance(named, str) else [*named]
    names = [*listed, *(config.modules_to_save or [])]
    return any(beside.in_tower(name.replace("\\", "")) for name in names)


def _refuse_on_quantised(model: nn.Module, config: LoraConfig, folder: Path) -> None:
    """Refuse an adapter that computes with weights of the base model that are packed."""
    named = [name for name, module in model.named_modules() if isinstance(module, QuantisedLinear)]
    packed = [f"{name.removesuffix('.base_layer')}.weight" for name in named]
    by_weight = [name for name in packed if name.endswith(tuple(config.target_parameters or ()))]
    if packed and (config.use_dora or by_weight):
        setting = "use_dora" if config.use_dora else "target_parameters"
        raise InputError(
            f"an adapter with {setting} reads weights of the base model, which policy.quantize has packed.",
            where=str(folder),
            remedy="Leave policy.quantize out.",
        )


def _refuse_other_layers(
    saved: set[str], fresh: set[str], adapter: Adapter, folder: Path, *, beside: Beside
) -> None:
    """Refuse an adapter that is on the tower without naming it, or on other layers than the policy's targets."""
    if not adapter.audio_tower and any(beside.in_tower(name) for name in saved):
        raise _conflict("audio_tower", True, False, folder)
    present, chosen = ({name for name in names if not beside.in_tower(name)} for names in (saved, fresh))
    if adapter.targets is not None and (differing := sorted(chosen ^ present)):
        where = "the saved adapter is" if differing[0] in present else "policy.adapter.targets says"
        raise InputError(
            f"{where} on {differing[0]}, and the other is not.",
            where=str(folder),
            remedy="Leave policy.adapter.targets out: the saved adapter's layers are then taken.",
        )


def _lora_layers(model: Any) -> set[str]:
    """Names of the layers with an adapter, as in the base model."""
    named = model.get_base_model().named_modules()
    return {name for name, module in named if any("lora_A" in inner for inner, _ in module.named_children())}


def _notes(config: LoraConfig, layers: set[str], fresh: set[str]) -> list[str]:
    defaults = LoraConfig()
    reported = (
        "use_rslora",
        "use_dora",
        "rank_pattern",
        "alpha_pattern",
        "bias",
        "lora_bias",
        "target_parameters",
    )
    unusual = [name for name in reported if vars(config)[name] != vars(defaults)[name]]
    notes = [f"the saved adapter's own settings are used: {', '.join(unusual)}"] if unusual else []
    if missing := fresh - layers:
        notes.append(
            f"the saved adapter is on {len(layers)} layers; a new one would be on {len(missing)} more"
        )
    return notes


def _load_state(model: PeftModel, weights: dict[str, Tensor], config: LoraConfig, folder: Path) -> None:
    """Load the weights; refuse names or shapes that are not those of the settings and the base model."""
    converted = convert_peft_adapter_state_dict_for_transformers(model, config, weights)
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    missing, foreign = sorted(set(state) - set(converted)), sorted(set(converted) - set(state))
    if missing or foreign:
        detail = (
            f"it lacks {missing[0]}" if missing else f"it has {foreign[0]}, which the policy does not train"
        )
        raise InputError(
            f"the adapter is not of this policy: {detail}.",
            where=str(folder),
            remedy="Check policy.adapter and the base model.",
        )
    for name, parameter in state.items():
        if converted[name].shape != parameter.shape:
            raise InputError(
                f"{name} is {list(converted[name].shape)} in the adapter and {list(parameter.shape)} in the policy.",
                where=str(folder),
                remedy="Check policy.adapter and the base model.",
            )
    with torch.no_grad():
        set_peft_model_state_dict(model, weights)


def _adapter_weights(folder: Path) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = (folder / "adapter_model.bin").is_file()
        raise InputError(
            f"no {WEIGHTS} in {folder}",
            where="adapter",
            remedy="Load it with PEFT and save it again: pickled weights are not read."
            if pickled
            else "Give a run's adapter folder.",
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"not a readable safetensors file: {error}", where=str(path)) from error
