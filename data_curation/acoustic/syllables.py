"""Counts syllables: in an English transcript by its vowel groups, in sound by the peaks of its loudness."""

import re

import numpy as np
from jaxtyping import Float

from data_curation.acoustic.frames import HOP_S, SILENT_DB, Frames

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
VOWELS = re.compile(r"[aeiouy]+")
SILENT_E = re.compile(r"[^aeiouylr]e$|[aeiou]re$|[aeiouy]le$")
SILENT_ED = re.compile(r"[^aeiouytd]ed$")
SMOOTH_S = 0.05
"""Seconds over which loudness is smoothed before its peaks are counted."""
LEAST_DIP_DB = 2.0
"""Least fall of loudness in dB between two peaks that are two syllables (de Jong & Wempe, 2009)."""


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, with straight apostrophes."""
    return [word.lower().replace("’", "'") for word in WORD.findall(text)]


def syllables_in_text(text: str) -> int:
    """Number of syllables by rule: groups of vowel letters, without silent final e and -ed, at least 1 per word.

    >>> syllables_in_text("wonderful voice")
    4
    """
    return sum(_syllables_in_word(word) for word in words_of(text))


def _syllables_in_word(word: str) -> int:
    count = len(VOWELS.findall(word))
    silent = SILENT_E.search(word) or SILENT_ED.search(word)
    return max(1, count - (1 if silent else 0))


def syllables_in_sound(frames: Frames) -> int:
    """Number of syllable nuclei: peaks of loudness in speech that a dip separates. It serves clips without a text."""
    width = round(SMOOTH_S / HOP_S)
    smooth = np.convolve(np.pad(frames.level_db, width // 2, mode="edge"), np.ones(width) / width, "valid")
    return _peaks_with_dips(np.where(frames.active, smooth[: len(frames.active)], SILENT_DB))


def _peaks_with_dips(level_db: Float[np.ndarray, " frame"]) -> int:
    count, extreme, rising = 0, SILENT_DB, False
    for level in [*level_db.tolist(), SILENT_DB]:
        if rising and level <= extreme - LEAST_DIP_DB:
            count, extreme, rising = count + 1, level, False
        elif not rising and level >= extreme + LEAST_DIP_DB:
            extreme, rising = level, True
        extreme = max(extreme, level) if rising else min(extreme, level)
    return count
