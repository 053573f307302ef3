"""Quantised checkpoints: by which method and to how many bits, from the settings beside the weights."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEYS = ("quantization_config", "compression_config")
"""Under which a config.json says how weights were quantised."""
BITS = ("bits", "w_bit", "wbits", "nbits", "num_bits", "weight_bits")
NAMED = ("quant_method", "quant_type", "weights", "fmt", "format", "quant_algo", "quantize_")
"""Settings whose words may hold the number, as in `int4_weight_only`."""
FILES = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
"""Beside a config.json that says nothing, as older tools wrote them."""
UNPACKED = "gguf"
"""transformers leaves this method in the settings of weights that it has dequantised."""
PLAIN = "Give the checkpoint that it was made from, in plain weights."
DEQUANTISABLE = {"mxfp4": "Mxfp4Config", "fp8": "FineGrainedFP8Config"}
"""Methods that transformers can turn back into plain weights, with the class that says so."""


@dataclass(frozen=True)
class Quantisation:
    """How a checkpoint was quantised."""

    method: str
    bits: str | None

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.method}, {self.bits} bits" if self.bits else self.method

    @property
    def remedy(self) -> str:
        """What to give in its place."""
        if settings := DEQUANTISABLE.get(self.method):
            return (
                f"{PLAIN[:-1]}, or dequantise it: load it with quantization_config={settings}(dequantize=True) of "
                "transformers and save it."
            )
        return PLAIN


def quantisation(config: Mapping[str, Any], folder: Path) -> Quantisation | None:
    """How the weights of a config.json were quantised; None for plain weights.

    Args:
        config: Its settings; those of a part (text_config) count as well.
        folder: In which older tools may have left a file; it need not exist.
    """
    parts = [config, *(value for value in config.values() if isinstance(value, Mapping))]
    for settings in (part[key] for part in parts for key in KEYS if part.get(key)):
        found = _of(settings) if isinstance(settings, Mapping) else Quantisation(str(settings), None)
        if found.method != UNPACKED:
            return found
    named = next((name for name in FILES if (folder / name).is_file()), None)
    return Quantisation(f"it has {named}", None) if named else None


def _of(settings: Mapping[str, Any]) -> Quantisation:
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
    """Settings at any depth."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _pairs(value)
        else:
            yield str(key), value
