"""The names that corpora give to one class, by domain. Two corpora share a class by its key in these tables.

A name is looked up in its normal form (`categories.normal_form`), so its case and Unicode form do not matter. The table
has the names of RAVDESS, EmoDB (English and German), MELD, MSP-Podcast, GoEmotions, CREMA-D, IEMOCAP, SAVEE, TESS,
Emozionalmente (English and Italian), EmoTale and Dusha. It also has nouns and adjectives of one emotion.
`docs/concepts/class_names.md` shows the table.

Three pairs are not synonyms. `calm` is not `neutral`: RAVDESS has both. `excitement` is not `happiness`: in IEMOCAP
`excited` counts as happiness, and that is a rule of its reader. The emotions of GoEmotions that are not among Ekman's
are classes of their own: how SHALA-LLM, Table 4, groups them is a rule of that corpus's reader.

Codes of one letter or two digits mean something only together: `A` is anger in MSP-Podcast and fear (Angst) in EmoDB.
So does `positive`: the authors of Dusha mean happiness by it, and those of a corpus of attitudes do not. Codes are read
where all classes of a corpus are codes of one scheme, and no other scheme reads them in another way.
"""

from collections.abc import Mapping, Sequence
from functools import cache

EMOTION, INFERENCE = "emotion", "inference"
UNKNOWN = ""
"""The domain of classes that declare none and do not tell it by their names."""
FEWEST_CODES = 4
"""Fewest classes that are read as codes of a scheme where the domain is not declared; fewer may be a coincidence."""

EMOTIONS: Mapping[str, tuple[str, ...]] = {
    "anger": (
        "angry",
        "ang",
        "angered",
        "wut",
        "wütend",
        "ärger",
        "ärgerlich",
        "zorn",
        "rabbia",
        "arrabbiato",
    ),
    "disgust": ("disgusted", "dis", "ekel", "angeekelt", "disgusto", "disgustato"),
    "fear": (
        "fearful",
        "afraid",
        "scared",
        "fea",
        "anxiety",
        "anxious",
        "anxiety/fear",
        "fear/anxiety",
        "angst",
        "ängstlich",
        "furcht",
        "paura",
        "spaventato",
    ),
    "happiness": (
        "happy",
        "hap",
        "joy",
        "joyful",
        "freude",
        "fröhlich",
        "glücklich",
        "gioia",
        "felicità",
        "felice",
    ),
    "sadness": ("sad", "trauer", "traurigkeit", "traurig", "tristezza", "triste"),
    "neutral": ("neutrality", "neu", "neutralität", "neutralità", "neutrale", "no emotion"),
    "surprise": (
        "surprised",
        "sur",
        "ps",
        "pleasant surprise",
        "pleasant surprised",
        "pleasantly surprised",
        "überraschung",
        "überrascht",
        "sorpresa",
        "sorpreso",
    ),
    "calm": ("calmness", "ruhig", "ruhe", "calma"),
    "contempt": ("contemptuous", "verachtung", "disprezzo"),
    "boredom": ("bored", "langeweile", "gelangweilt", "noia"),
    "frustration": ("frustrated", "fru"),
    "excitement": ("excited", "exc"),
    "other": ("oth",),
    "admiration": (),
    "amusement": ("amused",),
    "annoyance": ("annoyed",),
    "approval": (),
    "caring": (),
    "confusion": ("confused",),
    "curiosity": ("curious",),
    "desire": (),
    "disappointment": ("disappointed",),
    "disapproval": (),
    "embarrassment": ("embarrassed",),
    "gratitude": ("grateful",),
    "grief": (),
    "love": (),
    "nervousness": ("nervous",),
    "optimism": ("optimistic",),
    "pride": ("proud",),
    "realization": ("realisation",),
    "relief": ("relieved",),
    "remorse": ("remorseful",),
}
"""The other names of each class, by its key."""
INFERENCES: Mapping[str, tuple[str, ...]] = {
    "entailment": ("entail", "entails", "entailed"),
    "neutral": (),
    "contradiction": ("contradict", "contradicts", "contradictory", "contradicted"),
}
TABLES: Mapping[str, Mapping[str, tuple[str, ...]]] = {EMOTION: EMOTIONS, INFERENCE: INFERENCES}
ELSEWHERE_TOO = frozenset(
    {"neutral", "other", "calm", "approval", "disapproval", "desire", "caring", "realization"}
)
"""Emotion keys that also occur in other domains, so that they do not tell that the classes are emotions."""

CODES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "EmoDB": (
        EMOTION,
        {
            "w": "anger",
            "l": "boredom",
            "e": "disgust",
            "a": "fear",
            "f": "happiness",
            "t": "sadness",
            "n": "neutral",
        },
    ),
    "MSP-Podcast": (
        EMOTION,
        {
            "a": "anger",
            "s": "sadness",
            "h": "happiness",
            "u": "surprise",
            "f": "fear",
            "d": "disgust",
            "c": "contempt",
            "n": "neutral",
            "o": "other",
        },
    ),
    "SAVEE": (
        EMOTION,
        {
            "a": "anger",
            "d": "disgust",
            "f": "fear",
            "h": "happiness",
            "n": "neutral",
            "sa": "sadness",
            "su": "surprise",
        },
    ),
    "EmoTale": (
        EMOTION,
        {"a": "anger", "b": "boredom", "h": "happiness", "n": "neutral", "s": "sadness"},
    ),
    "RAVDESS": (
        EMOTION,
        {
            "01": "neutral",
            "02": "calm",
            "03": "happiness",
            "04": "sadness",
            "05": "anger",
            "06": "fear",
            "07": "disgust",
            "08": "surprise",
        },
    ),
    "Dusha": (
        EMOTION,
        {"angry": "anger", "sad": "sadness", "neutral": "neutral", "positive": "happiness"},
    ),
    "ChaosNLI": (INFERENCE, {"e": "entailment", "n": "neutral", "c": "contradiction"}),
}
"""Schemes of codes: the domain of each, and the key of each of its codes."""


@cache
def keys_by_name() -> dict[str, str]:
    """Key of each name in the tables; a blank may also be an underscore or a hyphen."""
    keys: dict[str, str] = {}
    for table in TABLES.values():
        for key, names in table.items():
            for name in (key, *names):
                keys |= dict.fromkeys((name, name.replace(" ", "_"), name.replace(" ", "-")), key)
    return keys


def decoded(forms: Sequence[str], domain: str) -> dict[str, str]:
    """Key of each class, where all classes are codes of one scheme.

    Args:
        forms: The normal forms of the class names.
        domain: The declared domain, or `UNKNOWN`. Where it is unknown, more codes are needed (`FEWEST_CODES`).

    Returns:
        The key of each form. Empty where they are not codes of one scheme, or two schemes read them differently.
    """
    fitting = [
        {form: codes[form] for form in forms}
        for of, codes in CODES.values()
        if set(forms) <= set(codes) and domain in (of, UNKNOWN)
    ]
    alike = bool(fitting) and all(reading == fitting[0] for reading in fitting)
    complete = any(set(forms) == set(codes) for _, codes in CODES.values())
    numbers = any(form.isdigit() for form in forms)  # the classes of a scale are numbers, too
    enough = domain != UNKNOWN or complete or (len(forms) >= FEWEST_CODES and not numbers)
    return fitting[0] if alike and enough else {}


def guessed_domain(keys: Sequence[str]) -> str:
    """The domain that the keys of a corpus's classes tell, or `UNKNOWN`."""
    emotions = [key in EMOTIONS for key in keys]
    telling = sum(key in EMOTIONS and key not in ELSEWHERE_TOO for key in keys)
    inferences = [key in INFERENCES for key in keys]
    if any(key in INFERENCES and key != "neutral" for key in keys):
        return INFERENCE if all(inferences) else UNKNOWN
    most = 2 * sum(emotions) > len(keys)
    return EMOTION if (telling >= 2 and most) or (telling and all(emotions)) else UNKNOWN


def as_markdown() -> str:
    """The tables as a page of Markdown, `docs/concepts/class_names.md`."""
    lines = [
        "# Names of one class",
        "",
        "Made of `lalm_ambig/core/class_names.py`; a test compares the two.",
        "",
    ]
    for domain, table in TABLES.items():
        lines += [f"## {domain}", "", "| class | other names |", "| --- | --- |"]
        lines += [f"| {key} | {', '.join(names) or '–'} |" for key, names in table.items()]
        lines.append("")
    lines += ["## Codes", "", "Read where all classes of a corpus are codes of one scheme.", ""]
    lines += ["| scheme | codes |", "| --- | --- |"]
    for scheme, (_, codes) in CODES.items():
        lines.append(f"| {scheme} | {', '.join(f'{code} {key}' for code, key in codes.items())} |")
    return "\n".join(lines) + "\n"
