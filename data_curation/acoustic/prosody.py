"""The four sentences on prosody and the keywords. They depend on the measurement only, never on the votes."""

from data_curation.acoustic.absolute import absolute
from data_curation.acoustic.terms import Direction, Pick, Voice, direction, lean

YARDSTICKS = {
    "speaker": (
        "Against this speaker's other clips",
        "For this speaker",
        "Compared with this speaker's norm",
    ),
    "corpus": ("Against the other recordings", "For this set of recordings", "Compared with the other clips"),
}
NO_PACE = "Too little speech is present to judge the pace."
NO_PITCH = "Hardly any voiced sound is present, so pitch cannot be judged."
NO_TONE = "The colour of the voice cannot be judged."
NO_KEYWORD = "unremarkable delivery"
KEYWORDS = 3
"""Number of acoustic keywords: the measures that are furthest from usual."""
SINGLE = ("with a single pause", "with a pause")
REPEATED = ("with repeated pauses", "broken by pauses")
FLUENT = ("without pauses", "in a single stretch")
CONTOURS: dict[Direction, tuple[str, ...]] = {
    1: ("rises", "climbs"),
    0: ("stays level", "holds level"),
    -1: ("falls", "descends"),
}


def volume_sentence(voice: Voice, *, pick: Pick) -> str:
    """Sentence on loudness and its variation. It also names the yardstick of the description."""
    yardstick = pick(YARDSTICKS[voice.standing.against])
    level = absolute(voice.standing.values, "level_db", preposition="at")
    if "level_range_db" not in voice.standing.scores:
        return f"{yardstick}, volume is {voice.adjective('level_db')}{level}."
    volume, intensity = voice.adjective("level_db"), voice.adjective("level_range_db")
    if volume == intensity:
        return f"{yardstick}, volume and intensity are {volume}{level}."
    return f"{yardstick}, volume is {volume}{level} and intensity {intensity}."


def speed_sentence(voice: Voice, *, pick: Pick) -> str:
    """Sentence on the pace of articulation, and on pauses."""
    if "rate_syl_s" not in voice.standing.scores:
        return NO_PACE
    count = voice.standing.pause_count
    pauses = FLUENT if count == 0 else SINGLE if count == 1 else REPEATED
    rate = absolute(voice.standing.values, "rate_syl_s", preposition="at")
    return f"{pick(('Pace', 'The pace'))} is {voice.adjective('rate_syl_s')}{rate}, {pick(pauses)}."


def pitch_sentence(voice: Voice, *, pick: Pick) -> str:
    """Sentence on the height of the voice, the range of its melody, and the direction of the contour."""
    scores = voice.standing.scores
    if "pitch_st" not in scores:
        return NO_PITCH
    register = absolute(voice.standing.values, "pitch_hz", preposition="in")
    span = absolute(voice.standing.values, "pitch_range_st", preposition="over")
    text = f"{pick(('Pitch', 'The pitch'))} is {voice.adjective('pitch_st')}{register}"
    text += f", its range {voice.adjective('pitch_range_st')}{span}"
    if "pitch_slope_st_s" in scores:
        way = pick(CONTOURS[lean(scores["pitch_slope_st_s"])])
        text += f", and the contour {way} {voice.adverbs['pitch_slope_st_s']}".rstrip()
    return f"{text}."


def tone_sentence(voice: Voice, *, pick: Pick) -> str:
    """Sentence on the colour of the voice: spectral tilt, and clear or noisy sound."""
    if "tilt_db" not in voice.standing.scores:
        return NO_TONE
    timbre, quality = voice.adjective("tilt_db"), voice.adjective("harmonicity_db")
    if timbre == quality:
        return f"{pick(('Timbre', 'The timbre'))} and voice quality are {timbre}."
    return f"{pick(('Timbre', 'The timbre'))} is {timbre}, voice quality {quality}."


def acoustic_keywords(voice: Voice) -> tuple[str, ...]:
    """Short phrases on the measures that are furthest from usual."""
    scores = voice.standing.scores
    marked = sorted(
        (name for name in scores if direction(scores[name]) != 0), key=lambda name: -abs(scores[name])
    )
    return tuple(voice.phrase(name, article=False) for name in marked[:KEYWORDS]) or (NO_KEYWORD,)
