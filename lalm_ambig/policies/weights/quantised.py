"""Quantised checkpoints: their method and number of bits, from the settings beside the weights."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEYS = ("quantization_config", "compression_config")
"""Keys of a config.json for the quantisation of the weights."""
BITS = ("bits", "w_bit", "wbits", "nbits", "num_bits", "weight_bits")
NAMED = ("quant_method", "quant_type", "weights", "fmt", "format", "quant_algo", "quantize_")
"""Settings whose words may contain the number, as in `int4_weight_only`."""
FILES = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
"""Files of older tools beside a config.json without such a key."""
UNPACKED = "gguf"
"""Method that transformers leaves in the settings of weights that it has dequantised."""
PLAIN = "Give the checkpoint that it was made from, in plain weights (policy.quantize nf4 or int8 then packs them)."
DEQUANTISABLE = {"mxfp4": "Mxfp4Config", "fp8": "FineGrainedFP8Config"}
"""Methods that transformers can dequantise, with the class of their settings."""


@dataclass(frozen=True)
class Quantisation:
    """The quantisation of a checkpoint."""

    method: str
    bits: str | None

    @property
    def name(self) -> str:
        """Method and bits, for messages."""
        return f"{self.method}, {self.bits} bits" if self.bits else self.method

    @property
    def remedy(self) -> str:
        """The checkpoint to give instead."""
        if settings := DEQUANTISABLE.get(self.method):
            return (
                f"{PLAIN[:-1]}; or dequantise it: load it with quantization_config={settings}(dequantize=True) of "
                "transformers and save it."
            )
        return PLAIN


def quantisation(config: Mapping[str, Any], folder: Path) -> Quantisation | None:
    """The quantisation of a checkpoint's weights; None for plain weights.

    Args:
        config: Settings of the config.json; those of a part (text_config) count as well.
        folder: The checkpoint's folder, which may hold a file of an older tool; it need not exist.
    """
    parts = [config, *(value for value in config.values() if isinstance(value, Mapping))]
    for settings in (part[key] for part in parts for key in KEYS if part.get(key)):
        quantised = (
            _from_settings(settings) if isinstance(settings, Mapping) else Quantisation(str(settings), None)
        )
        if quantised.method != UNPACKED:
            return quantised
    named = next((name for name in FILES if (folder / name).is_file()), None)
    return Quantisation(f"it has {named}", None) if named else None


def _from_settings(settings: Mapping[str, Any]) -> Quantisation:
    method = str(settings.get("quant_method") or "").lower()
    for loaded, bits in (("load_in_4bit", "4"), ("load_in_8bit", "8")):
        if settings.get(loaded) or settings.get(f"_{loaded}"):
            return Quantisation(method or "bitsandbytes", bits)
    return Quantisation(method or "by an unnamed method", _bits(settings))


def _bits(settings: Mapping[str, Any]) -> str | None:
    pairs = list(_pairs(settings))
    for key, value in pairs:
        if key in BITS and isinstance(value, int | float):
            return f"{value:g}"
    for key, value in pairs:
        number = re.search(r"(?<![\d.])(\d+)", str(value)) if key in NAMED else None
        if number and number[1] in ("1", "2", "3", "4", "6", "8"):
            return number[1]
    return None


def _pairs(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys and values at any depth."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _pairs(value)
        else:
            yield str(key), value
