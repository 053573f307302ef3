"""LeWiDi: sizes, splits, texts, annotators, and the traps in its files."""

import json
from pathlib import Path
from typing import Any

import pytest
from layouts import lewidi as layout
from layouts.lewidi import inferred, ironic, of_2023, of_2025, path_of, scaled, write, write_entries

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.duplicates.contents import text_content
from lalm_ambig.corpora.lewidi.corpus import Lewidi, check_share
from lalm_ambig.corpora.lewidi.parts import LABEL_SETS, NUMBERS, PARTS, SET_WORDS, yes_shares
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.corpora.preparing.split_check import check_splits
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.prompts import load_glosses
from lalm_ambig.readouts.logits import answer_tokens

SIZES = {
    "hs_brexit": 1120,
    "md_agreement": 10753,
    "conv_abuse": 4050,
    "armis": 943,
    "mp": 6761,
    "csc": 1408,
    "par": 500,
    "varierr_nli": 488,
}


def opened(root: Path, part: str, entries: dict[str, Any], **options: Any) -> Lewidi:
    """A set whose test file has these entries."""
    write(root)
    write_entries(root, part, "test", entries)
    return Lewidi(root, part=part, **options)


def of_test(corpus: Lewidi) -> list[Item]:
    return [item for item in corpus.read() if item.split == "test"]


def refusal(root: Path, part: str, entry: Any, *others: Any) -> str:
    corpus = opened(root, part, {"7": entry, **dict(enumerate(others))})
    with pytest.raises(InputError) as raised:
        list(corpus.read())
    assert "\n" not in str(raised.value)
    return str(raised.value)


# the data as distributed


@pytest.mark.slow
@pytest.mark.parametrize("part", SIZES)
def test_the_real_sets_have_their_sizes_and_every_soft_label_is_that_of_its_votes(
    part: str, shared_data: Path
) -> None:
    items = list(Lewidi(shared_data / "LeWiDi", part=part).read())
    assert len({item.id for item in items}) == len(items) == SIZES[part]
    assert all(len(item.ratings) == sum(item.votes) for item in items)


@pytest.mark.slow
def test_the_annotators_of_the_real_sets_are_as_many_as_the_organisers_say(shared_data: Path) -> None:
    counted = {
        part: len(
            {name for item in Lewidi(shared_data / "LeWiDi", part=part).read() for name in item.annotators}
        )
        for part in ("hs_brexit", "conv_abuse", "armis", "mp", "csc", "par", "varierr_nli")
    }
    assert counted == {
        "hs_brexit": 6,
        "conv_abuse": 8,
        "armis": 3,
        "mp": 506,
        "csc": 872,
        "par": 4,
        "varierr_nli": 4,
    }


@pytest.mark.slow
def test_all_pairs_of_varierr_are_in_chaosnli_by_content(shared_data: Path) -> None:
    from lalm_ambig.corpora.chaosnli import ChaosNli

    known = {text_content(item.text or "") for item in ChaosNli(shared_data / "ChaosNLI", part="mnli").read()}
    pairs = list(Lewidi(shared_data / "LeWiDi", part="varierr_nli").read())
    assert sum(text_content(item.text or "") in known for item in pairs) == 488


# traps


@pytest.mark.parametrize("keys", [("0", "1"), ("0.0", "1.0")])
def test_keys_of_a_soft_label_may_be_whole_numbers_or_decimals(tmp_path: Path, keys: tuple[str, str]) -> None:
    entry = ironic(1, {"Ann1": "1", "Ann9": "0", "Ann3": "1", "Ann4": "1"}, keys=keys)
    [item] = of_test(opened(tmp_path, "mp", {"7": entry}))
    assert item.votes == (1, 3)


def test_a_key_in_two_spellings_is_refused(tmp_path: Path) -> None:
    entry = ironic(1, {"Ann1": "1"})
    entry["soft_label"] = {"0": 0.0, "0.0": 1.0, "1": 1.0}
    assert "item '7': the soft label has the key 0 twice, in two spellings" in refusal(tmp_path, "mp", entry)


def test_a_step_of_a_scale_that_is_no_class_may_have_the_share_zero_alone(tmp_path: Path) -> None:
    entry = scaled("csc", 1, {"Ann1": "2", "Ann2": "6"})
    entry["soft_label"] = {"0": 0.0, **entry["soft_label"]}
    [item] = of_test(opened(tmp_path, "csc", {"7": entry}))
    assert item.votes == (0, 1, 0, 0, 0, 1)
    entry["soft_label"]["0"] = 0.5
    assert "soft label '0' is no class and has the share 0.5" in refusal(tmp_path, "csc", entry)


def test_ordinal_labels_of_convabuse_are_folded_below_zero_is_abusive(tmp_path: Path) -> None:
    turns = json.dumps({"prev_agent": "a", "prev_user": "b", "agent": "c", "user": "d"})
    entry = of_2023(turns, "Ann1,Ann2,Ann3,Ann4,Ann5", "-3,-2,-1,0,1", folded=True)
    [item] = of_test(opened(tmp_path, "conv_abuse", {"7": entry}))
    assert item.votes == (2, 3)
    assert item.annotations == (1, 1, 1, 0, 0)
    assert item.text == "Agent: a\nUser: b\nAgent: c\nUser: d"


def test_an_annotator_who_is_named_twice_has_both_votes(tmp_path: Path) -> None:
    entry = of_2023("A tweet", "Ann5,Ann4,Ann7,Ann4,Ann6", "0,0,0,1,1")
    [item] = of_test(opened(tmp_path, "md_agreement", {"7": entry}))
    assert item.votes == (3, 2)
    assert item.ratings == (("Ann5", 0), ("Ann4", 0), ("Ann7", 0), ("Ann4", 1), ("Ann6", 1))


def test_an_annotator_with_two_labels_has_one_vote_for_the_set_of_both(tmp_path: Path) -> None:
    entry = inferred(1, {"Ann1": "neutral", "Ann2": "neutral, entailment", "Ann4": "entailment"})
    corpus = opened(tmp_path, "varierr_nli", {"7": entry})
    [item] = of_test(corpus)
    names = corpus.categories.names
    assert names[-1] == "entailment+neutral"
    assert dict(zip(names, item.votes, strict=True)) == {
        **dict.fromkeys(names, 0),
        "neutral": 1,
        "entailment": 1,
        "entailment+neutral": 1,
    }
    assert item.annotators == ("Ann1", "Ann2", "Ann4")
    assert yes_shares(item.label_dist) == pytest.approx((0, 2 / 3, 2 / 3))


def test_an_annotator_with_all_three_labels_is_refused_since_no_annotator_chose_them(tmp_path: Path) -> None:
    entry = inferred(1, {"Ann1": "contradiction,entailment,neutral"})
    assert "expected one of contradiction; entailment; neutral; contradiction,entailment" in refusal(
        tmp_path, "varierr_nli", entry
    )


def test_one_key_in_two_files_is_two_items(tmp_path: Path) -> None:
    items = list(Lewidi(write(tmp_path), part="varierr_nli").read())
    ids = [item.id for item in items if item.id.endswith("-3")]
    assert ids == ["varierr_nli-train-3", "varierr_nli-dev-3", "varierr_nli-test-3"]


def test_votes_are_counted_from_annotations_and_not_from_the_rounded_soft_label(tmp_path: Path) -> None:
    chosen = {f"Ann{step}": str(step) for step in range(1, 7)}
    [item] = of_test(opened(tmp_path, "csc", {"7": scaled("csc", 1, chosen)}))
    assert sum(scaled("csc", 1, chosen)["soft_label"].values()) == pytest.approx(1.02)
    assert item.label_dist == (1 / 6,) * 6


@pytest.mark.parametrize(("share", "good"), [(0.33, True), (0.333, True), (0.34, False), (0.3, False)])
def test_a_soft_label_may_be_rounded_and_nothing_else(tmp_path: Path, share: float, good: bool) -> None:
    entry = of_2023("A tweet", "Ann1,Ann2,Ann3", "0,1,0")
    entry["soft_label"] = {"0": 1 - share, "1": share}
    if good:
        assert of_test(opened(tmp_path, "armis", {"7": entry}))[0].votes == (2, 1)
    else:
        message = refusal(tmp_path, "armis", entry)
        assert "ArMIS_test.json: item '7': soft label 0 is" in message
        assert "0.6667 of its 3 annotators chose it" in message


# train files


@pytest.mark.parametrize("part", layout.WITHOUT_TRAIN)
def test_a_set_without_a_train_file_trains_on_most_of_the_dev_file_and_says_so_in_one_line(
    part: str, tmp_path: Path
) -> None:
    corpus = Lewidi(write(tmp_path), part=part)
    splits = [item.split for item in corpus.read() if "-dev-" in item.id]
    assert (splits.count("train"), splits.count("validation")) == (9, 1)
    [note] = corpus.notes()
    stem = PARTS[part].stem
    assert note == (
        f"{stem}_train.json is missing (the organisers' repository has it, some copies do not): of the 10 items of "
        f"{stem}_dev.json, 1 validate (option validation_share) and the others are for training"
    )
    assert corpus.draws_splits
    others = [item.split for item in Lewidi(tmp_path, part=part, seed=1).read() if "-dev-" in item.id]
    assert others != splits


@pytest.mark.parametrize(("part", "field"), [("mp", "post"), ("csc", "context")])
def test_items_of_one_post_or_context_are_on_one_side(part: str, field: str, tmp_path: Path) -> None:
    """Thirty replies to ten posts: three of each."""
    write(tmp_path)
    entries = {str(n): layout.entry(part, n, "dev") for n in range(30)}
    for n in range(30):
        entries[str(n)]["text"][field] = f"Number  {n % 10}" if n < 10 else f"Number {n % 10}"
    write_entries(tmp_path, part, "dev", entries)
    sides: dict[int, set[str]] = {}
    items = [item for item in Lewidi(tmp_path, part=part, validation_share=0.3).read() if "-dev-" in item.id]
    for item in items:
        sides.setdefault(int(item.id.rpartition("-")[2]) % 10, set()).add(item.split)
    assert all(len(side) == 1 for side in sides.values())
    splits = [item.split for item in items]
    assert (splits.count("train"), splits.count("validation")) == (21, 9)


def test_a_train_file_that_is_there_is_read_and_the_dev_file_then_validates(tmp_path: Path) -> None:
    write(tmp_path)
    write_entries(tmp_path, "mp", "train", {"a": layout.entry("mp", 1, "train")})
    corpus = Lewidi(tmp_path, part="mp")
    assert [item.split for item in corpus.read()] == ["train"] + ["validation"] * 10 + ["test"] * 8
    assert list(corpus.notes()) == []
    assert not corpus.draws_splits


def test_without_a_share_for_validation_the_dev_file_is_for_training_and_fit_is_told_the_remedy(
    tmp_path: Path,
) -> None:
    corpus = Lewidi(write(tmp_path), part="csc", validation_share=0.0)
    assert {item.split for item in corpus.read()} == {"train", "test"}
    check_splits(corpus, {"train": 10, "test": 8}, ("test",))
    with pytest.raises(
        InputError, match=r"split validation has no items .*Give --data.corpus.validation_share"
    ):
        check_splits(corpus, {"train": 10, "test": 8})


@pytest.mark.parametrize("part", [part for part in PARTS if part not in layout.WITHOUT_TRAIN])
def test_a_train_file_that_the_organisers_have_is_missed(part: str, tmp_path: Path) -> None:
    write(tmp_path)
    path_of(tmp_path, part, "train").unlink()
    with pytest.raises(InputError, match=r"corpus lewidi: not found: .*_train\.json under .*Le-Wi-Di"):
        list(Lewidi(tmp_path, part=part).read())


# settings


def test_a_part_is_needed_and_a_fold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it needs a part: one of hs_brexit, .*Give --part NAME"):
        Lewidi(write(tmp_path))
    with pytest.raises(InputError, match=r"unknown part 'MP': expected one of hs_brexit"):
        Lewidi(tmp_path, part="MP")
    with pytest.raises(InputError, match=r"fold must be null, got 0: the organisers say"):
        Lewidi(tmp_path, part="mp", fold=0)
    for share in (-0.1, 1, 2, "abc", True, None, float("nan")):
        with pytest.raises(InputError, match=r"validation_share must be a number in \[0, 1\), got"):
            check_share(share)


# malformed entries


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": "0,1"}, "3 annotators but 2 annotations"),
        ({"annotators": ""}, 'it needs "annotators"'),
        ({"annotations": ""}, "3 annotators but 1 annotations"),
        ({"annotations": None}, 'it has no "annotations": is this a file for submissions'),
        ({"annotations": "0,2,0"}, "unknown label '2': expected one of 0; 1"),
        ({"annotations": {"Ann1": "0", "Ann2": "0"}}, "but the annotations are of others"),
        ({"soft_label": None}, 'it needs a "soft_label"'),
        ({"soft_label": {"0": "1", "1": 0}}, "soft label '0': '1' is no share of a label"),
        ({"soft_label": {"no": 1.0}}, "soft label 'no': 1.0 is no share of a label"),
        ({"text": "  "}, '"text" must be a text that is not empty'),
        ({"text": None}, '"text" must be a text that is not empty'),
    ],
)
def test_a_malformed_entry_is_one_line_with_its_file_and_key(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    good = of_2023("A tweet", "Ann1,Ann2,Ann3", "0,1,0")
    found = refusal(tmp_path, "armis", {**good, **change}, good, good)
    assert message in found
    assert "ArMIS_test.json: item '7':" in found
    corpus = opened(tmp_path, "armis", {"7": {**good, **change}, "8": good, "9": good}, skip_bad_rows=True)
    assert [item.id for item in of_test(corpus)] == ["armis-test-8", "armis-test-9"]
    assert corpus.notes()[0] == "1 bad rows left out (22 kept):"


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("conv_abuse", "go away", '"text" must be a text that holds JSON'),
        ("conv_abuse", '{"user": "x"}', '"text" must have prev_agent, prev_user, agent, user'),
        ("mp", "a post", '"text" must be an object of post, reply'),
        ("par", {"Question1": "What?"}, '"text" needs a "Question2" that is a text'),
    ],
)
def test_a_text_of_another_form_is_refused(tmp_path: Path, part: str, text: Any, message: str) -> None:
    good = layout.entry(part, 1, "test")
    assert message in refusal(tmp_path, part, {**good, "text": text}, good, good)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected an object with an entry per item"),
        ("{}", "expected an object with an entry per item"),
        ('{"1": {}, "1": {}}', "an object has the key '1' twice"),
        ('{"1": {},}', "not JSON"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path_of(write(tmp_path), "par", "dev").write_text(content)
    with pytest.raises(InputError, match=r"Paraphrase_dev\.json") as raised:
        list(Lewidi(tmp_path, part="par").read())
    assert message in str(raised.value)


def test_an_annotation_that_the_list_of_annotators_lacks_is_refused(tmp_path: Path) -> None:
    entry = of_2025({"post": "a", "reply": "b"}, {"Ann1": "0", "Ann2": "1"}, {"0": 0.5, "1": 0.5})
    assert "but the annotations are of others" in refusal(tmp_path, "mp", {**entry, "annotators": "Ann1"})


# classes and prompts


@pytest.mark.parametrize("part", PARTS)
def test_every_class_has_a_gloss_and_a_first_token_of_its_own(part: str) -> None:
    chosen = PARTS[part]
    assert list(load_glosses(chosen.prompt)) == list(chosen.categories.prompt_names)
    policy = Tiny()
    policy.load()
    answer_tokens(policy.text_ids, chosen.categories)


def test_scales_are_ordered_and_keep_words_and_order_on_disk(tmp_path: Path) -> None:
    corpus = Lewidi(write(tmp_path / "root"), part="csc")
    prepared = prepare(corpus, cache_dir=tmp_path / "cache", quiet=True)
    assert prepared.categories == corpus.categories
    assert prepared.categories.ordered
    assert prepared.categories.prompt_names == NUMBERS[1:7]
    assert [item.ratings for item in prepared.items()] == [item.ratings for item in corpus.read()]
    assert prepared.items()[0].ratings == next(iter(corpus.read())).ratings
    assert [part for part in PARTS if PARTS[part].categories.ordered] == ["csc", "par"]


def test_label_sets_and_their_words_are_of_one_length_and_yes_shares_need_not_sum_to_one() -> None:
    assert len(LABEL_SETS) == len(SET_WORDS) == len(PARTS["varierr_nli"].categories) == 6
    assert yes_shares([1 / 6] * 6) == pytest.approx((0.5, 0.5, 0.5))
    assert sum(yes_shares([0.0, 0.0, 0.0, 1.0, 0.0, 0.0])) == 2
