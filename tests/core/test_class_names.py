"""Names of one class in the corpora of the field, codes, and the domain that classes tell."""

from pathlib import Path

import pytest

from lalm_ambig.core.categories import CategorySet, canonical_key, normal_form, refuse_synonyms
from lalm_ambig.core.class_names import (
    CODES,
    EMOTION,
    EMOTIONS,
    INFERENCE,
    TABLES,
    UNKNOWN,
    as_markdown,
    keys_by_name,
)
from lalm_ambig.core.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "class_names.md"
SIX = CategorySet(("anger", "disgust", "fear", "happiness", "neutral", "sadness"))
OF_GO_EMOTIONS = (
    "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval "
    "disgust embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization relief "
    "remorse sadness surprise neutral"
)
CORPORA = {
    "RAVDESS": (
        "neutral calm happy sad angry fearful disgust surprised",
        "neutral calm happiness sadness anger fear disgust surprise",
    ),
    "RAVDESS, codes": (
        "01 02 03 04 05 06 07 08",
        "neutral calm happiness sadness anger fear disgust surprise",
    ),
    "EmoDB": (
        "Wut Langeweile Ekel Angst Freude Trauer Neutral",
        "anger boredom disgust fear happiness sadness neutral",
    ),
    "EmoDB, codes": ("W L E A F T N", "anger boredom disgust fear happiness sadness neutral"),
    "EmoDB, English": (
        "anger boredom disgust anxiety/fear happiness sadness neutral",
        "anger boredom disgust fear happiness sadness neutral",
    ),
    "MELD": (
        "anger disgust fear joy neutral sadness surprise",
        "anger disgust fear happiness neutral sadness surprise",
    ),
    "MSP-Podcast": (
        "Angry Contempt Disgust Fear Happy Neutral Sad Surprise",
        "anger contempt disgust fear happiness neutral sadness surprise",
    ),
    "MSP-Podcast, codes": (
        "A C D F H N S U",
        "anger contempt disgust fear happiness neutral sadness surprise",
    ),
    "CREMA-D, codes": ("ANG DIS FEA HAP NEU SAD", "anger disgust fear happiness neutral sadness"),
    "IEMOCAP, codes": (
        "ang exc fru hap neu sad sur fea dis oth",
        "anger excitement frustration happiness neutral sadness surprise fear disgust other",
    ),
    "SAVEE": ("a d f h n sa su", "anger disgust fear happiness neutral sadness surprise"),
    "TESS": (
        "angry disgust fear happy neutral ps sad",
        "anger disgust fear happiness neutral surprise sadness",
    ),
    "TESS, in full": (
        "angry disgust fear happy neutral pleasant_surprise sad",
        "anger disgust fear happiness neutral surprise sadness",
    ),
    "Emozionalmente": (
        "anger disgust fear joy neutrality sadness surprise",
        "anger disgust fear happiness neutral sadness surprise",
    ),
    "Emozionalmente, Italian": (
        "rabbia disgusto paura gioia neutralità tristezza sorpresa",
        "anger disgust fear happiness neutral sadness surprise",
    ),
    "Dusha": ("angry sad neutral positive", "anger sadness neutral happiness"),
    "EmoTale, codes": ("A B H N S", "anger boredom happiness neutral sadness"),
    "GoEmotions": (OF_GO_EMOTIONS, OF_GO_EMOTIONS.replace("joy", "happiness")),
}


@pytest.mark.parametrize(("names", "keys"), CORPORA.values(), ids=CORPORA)
def test_the_corpora_of_the_field_meet(names: str, keys: str) -> None:
    classes = CategorySet(tuple(names.split()))
    assert classes.keys == tuple(keys.split())
    assert classes.domain == EMOTION


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("WU\u0308TEND", "anger"),
        ("pleasant surprise", "surprise"),
        ("Pleasant-Surprise", "surprise"),
        ("afraid", "fear"),
        ("joyful", "happiness"),
        ("calm", "calm"),
        ("excited", "excitement"),
        ("W", "w"),
        ("01", "01"),
        ("nervousness", "nervousness"),
    ],
)
def test_a_name_by_itself(name: str, key: str) -> None:
    assert canonical_key(name) == key


def test_every_name_is_in_its_form_and_stands_once() -> None:
    for table in TABLES.values():
        names = [name for key, others in table.items() for name in (key, *others)]
        assert [normal_form(name) for name in names] == names and len(set(names)) == len(names)
    assert keys_by_name()["neutral"] == "neutral"
    assert all(key in TABLES[of] for of, codes in CODES.values() for key in codes.values())


def test_codes_mean_something_only_together() -> None:
    assert CategorySet(("A", "N")).keys == ("a", "n")  # anger or fear?
    assert CategorySet(("positive", "neutral")).keys == ("positive", "neutral")  # of attitudes?
    assert CategorySet(("positive", "negative", "neutral")).keys == ("positive", "negative", "neutral")
    assert CategorySet(("A", "N"), domain=EMOTION).keys == ("a", "n")
    assert CategorySet(("W", "T"), domain=EMOTION).keys == ("anger", "sadness")
    assert CategorySet(("W", "T")).keys == ("w", "t")  # no coincidence is unlikely with two
    assert CategorySet(("A", "B", "C", "D")).keys == ("a", "b", "c", "d")
    assert CategorySet(("A", "D", "F", "H")).keys == (
        "anger",
        "disgust",
        "fear",
        "happiness",
    )  # two schemes agree
    assert CategorySet(("A", "F", "N", "T"), domain="grammar").keys == ("a", "f", "n", "t")
    assert CategorySet(("01", "02", "03", "04")).domain == UNKNOWN
    assert CategorySet(("e", "n", "c")).domain == INFERENCE


@pytest.mark.parametrize(
    ("names", "domain"),
    [
        ("anger neutral", EMOTION),
        ("joy boredom envy", EMOTION),
        ("joy envy awe", UNKNOWN),
        ("neutral other", UNKNOWN),
        ("positive negative neutral", UNKNOWN),
        ("love hate neutral", UNKNOWN),
        ("entailment neutral contradiction", INFERENCE),
        ("Entailment not_entailment", UNKNOWN),
        ("contradiction anger", UNKNOWN),
        ("approval disapproval neutral", UNKNOWN),
        ("yes no", UNKNOWN),
    ],
)
def test_a_domain_is_guessed_only_where_the_names_tell(names: str, domain: str) -> None:
    assert CategorySet(tuple(names.split())).domain == domain
    assert CategorySet(tuple(names.split()), domain="Offence ").domain == "offence"


def test_two_classes_of_one_corpus_stay_two_and_meet_others_by_their_own_names() -> None:
    both = CategorySet(("joy", "happiness", "anger"))
    assert both.keys == ("joy", "happiness", "anger")
    assert CategorySet(("joy", "anger")).positions_in(both) == (0, 2)
    assert CategorySet(("happy", "Angry")).positions_in(both) == (1, 2)
    assert both.positions_in(SIX) == (None, 3, 0)
    assert both.positions_in(CategorySet(("joy", "anger"))) == (0, None, 1)
    assert [both.index(name) for name in ("Joy", "Happiness", "happy")] == [0, 1, 1]
    assert CategorySet(("excitement", "joy")).keys == ("excitement", "happiness")
    with pytest.raises(InputError, match="class 'happiness' stands twice: 'joy' and 'happiness'"):
        refuse_synonyms(both.names)


def test_no_class_is_shared_by_two_domains() -> None:
    inference = CategorySet(("entailment", "neutral", "contradiction"))
    assert inference.positions_in(SIX) == (None, None, None)
    assert SIX.positions_in(inference) == (None,) * 6
    assert inference.unseen_in(SIX) == inference.names
    assert CategorySet(("neutral", "x")).positions_in(SIX) == (4, None)


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == as_markdown()
    assert set(EMOTIONS) <= set(as_markdown().replace("|", " ").split())
