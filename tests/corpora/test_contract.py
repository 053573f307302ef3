"""What holds for every corpus: modules are found by themselves once they have a small one in conftest.py."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS
from lalm_ambig.corpora.base import Corpus, corpus_names, open_corpus

SmallCorpora = dict[str, Callable[[], Corpus]]


@pytest.fixture(params=corpus_names())
def corpus(request: pytest.FixtureRequest, small_corpora: SmallCorpora) -> Corpus:
    assert request.param in small_corpora, "write a small one in tests/corpora/layouts/"
    return small_corpora[request.param]()


def test_items_have_one_vote_a_class_unique_ids_and_a_split(corpus: Corpus) -> None:
    items = list(corpus.read())
    assert len({item.id for item in items}) == len(items) > 0
    for item in items:
        assert len(item.votes) == len(corpus.categories)
        assert min(item.votes) >= 0
        assert sum(item.votes) > 0
        assert item.split in SPLITS
        assert item.audio is not None or item.text is not None
        assert item.audio is None or Path(item.audio).is_absolute()


def test_reading_twice_gives_the_same_in_the_same_order(corpus: Corpus) -> None:
    assert list(corpus.read()) == list(corpus.read())


def test_no_speaker_is_in_two_splits_but_where_the_corpus_says_which_share_them(corpus: Corpus) -> None:
    places: dict[str, set[str]] = {}
    for item in corpus.read():
        if item.speaker is not None:
            places.setdefault(item.speaker, set()).add(item.split)
    together = set[str]() if corpus.speaker_disjoint_validation else {"train", "validation"}
    allowed = together if corpus.speaker_disjoint else set(SPLITS)
    assert all(len(splits) == 1 or splits <= allowed for splits in places.values())


def test_label_files_exist_and_settings_name_the_corpus(corpus: Corpus) -> None:
    assert all(path.is_file() for path in corpus.label_files())
    assert corpus.settings()["corpus"] == corpus.name
    assert corpus.how_to_obtain
    assert corpus.prompt


@pytest.mark.parametrize("name", [name for name in corpus_names() if name != "demo"])
def test_a_missing_root_is_one_line_that_says_how_to_obtain_the_corpus(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not found: .*nowhere") as raised:
        list(open_corpus(name, tmp_path / "nowhere").read())
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=rf"corpus {name}: --root is missing"):
        open_corpus(name, None)


def test_an_unknown_corpus_lists_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"unknown corpus 'cremad': did you mean crema_d\? Expected one of .*crema_d"
    ):
        open_corpus("cremad", None)
