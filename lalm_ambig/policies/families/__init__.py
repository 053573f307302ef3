"""Families of audio-language models of transformers: one file for each, with what it does in its own way."""

import sys
from functools import cache

from lalm_ambig.core.discovery import classes_of
from lalm_ambig.policies.families.base import AudioFamily


@cache
def known_families() -> dict[str, type[AudioFamily]]:
    """All families by the `model_type` of their configuration."""
    found = classes_of(sys.modules[__name__], AudioFamily).values()
    return {cls.model_type: cls for cls in found if hasattr(cls, "model_type")}
