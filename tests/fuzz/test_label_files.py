"""Label files of IEMOCAP and MSP-Podcast: whatever stands in them becomes votes, or a bad row with its line."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import iemocap as iemocap_layout
from layouts import msp_podcast as msp_layout
from mutation import mutated, outcome

from lalm_ambig.corpora.iemocap.files import Dialogue
from lalm_ambig.corpora.iemocap.votes import CATEGORIES, CLASS_CODES, OTHER_CODES, SEVERAL_TAGS, count_votes
from lalm_ambig.corpora.msp_podcast.consensus import CONSENSUS_FILES, PARTS, read_consensus
from lalm_ambig.corpora.msp_podcast.scales import SCALES
from lalm_ambig.corpora.msp_podcast.secondary import OUTSIDE
from lalm_ambig.corpora.msp_podcast.tally import MspPodcastTally, join_labels
from lalm_ambig.corpora.msp_podcast.turns import UNIT, Sharing, Votes, read_votes
from lalm_ambig.corpora.msp_podcast.votes import LAYOUTS
from lalm_ambig.corpora.reading.bad_rows import BadRows

DIALOGUE = iemocap_layout.FIRST
PLACE = re.compile(r".*: .+", re.DOTALL)


def written(write: str, folder: Path) -> bytes:
    """The file that a function of the layout writes."""
    if write in ("labels", "transcripts"):
        iemocap_layout.write_dialogue(folder, DIALOGUE)
        kind = "EmoEvaluation" if write == "labels" else "transcriptions"
        return (folder / "Session1" / "dialog" / kind / f"{DIALOGUE}.txt").read_bytes()
    if write.startswith("labels_consensus"):
        return msp_layout.write_consensus(folder, name=write).read_bytes()
    return msp_layout.write_votes(folder, write).read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A valid file of each kind."""
    names = (
        "labels",
        "transcripts",
        "txt",
        "csv",
        "columns",
        "json",
        "labels_consensus.csv",
        "labels_consensus.json",
    )
    return {name: written(name, tmp_path_factory.mktemp("seed")) for name in names}


@given(data=st.data())
def test_emo_evaluation_is_turns_with_tags_or_bad_rows(
    data: st.DataObject, folder: Path, seeds: dict[str, bytes]
) -> None:
    paths = {name: folder / f"{name}.txt" for name in ("labels", "transcripts")}
    for name, path in paths.items():
        path.write_bytes(data.draw(mutated([seeds[name]])))
    dialogue = Dialogue(DIALOGUE, 1, paths["labels"], paths["transcripts"])
    bad_rows = BadRows(skip=True)
    read = outcome(lambda: (dialogue.turns(bad_rows), dialogue.spoken(bad_rows)))
    if read is None:
        return
    turns, spoken = read
    for turn in turns:
        assert turn.name.startswith(DIALOGUE)
        assert re.fullmatch(r"01[FM]", turn.speaker)
        assert turn.code in CLASS_CODES + OTHER_CODES
        assert turn.tags
        for several_tags in SEVERAL_TAGS:
            votes = count_votes(turn.tags, several_tags)
            assert len(votes) == len(CATEGORIES)
            assert all(0 <= vote <= sum(map(len, turn.tags)) for vote in votes)
    for name, words in spoken.items():
        assert name.startswith(DIALOGUE)
        words.encode()
    assert all(PLACE.fullmatch(line) for line in bad_rows.lines)
    strictly = outcome(lambda: (dialogue.turns(BadRows(skip=False)), dialogue.spoken(BadRows(skip=False))))
    assert strictly == (None if bad_rows.lines else (turns, spoken))


@given(data=st.data(), kind=st.sampled_from(("txt", "csv", "columns", "json")))
def test_votes_of_msp_podcast_are_counts_or_bad_rows(
    data: st.DataObject, kind: str, folder: Path, seeds: dict[str, bytes]
) -> None:
    layout = "csv" if kind == "columns" else kind
    path = folder / LAYOUTS[layout][0]
    path.write_bytes(data.draw(mutated([seeds[kind]])))
    bad_rows = BadRows(skip=True)
    votes = outcome(lambda: read_votes(path, layout, bad_rows=bad_rows))
    sharing = Sharing(other_is_class=True)
    shared = outcome(lambda: read_votes(path, layout, bad_rows=BadRows(skip=True), sharing=sharing))
    strictly = outcome(lambda: read_votes(path, layout, bad_rows=BadRows(skip=False)))
    assert strictly == (None if bad_rows.lines else votes)
    if votes is not None:
        assert votes.unknown_words.total() <= sum(turn.votes[OUTSIDE] for turn in votes.turns.values())
        for name, turn in votes.turns.items():
            assert re.fullmatch(r"MSP-PODCAST(_(\d+|[A-Za-z]+\d*))+", name, re.ASCII)
            assert all(count >= 0 for count in turn.votes)
            assert len(turn.votes) == OUTSIDE + 1
            if shared is not None:
                assert shared.turns[name].votes == turn.votes
                assert sum(shared.turns[name].shares) == UNIT * sum(turn.votes)
    for scale in SCALES.values():
        rated = outcome(
            lambda scale=scale: read_votes(path, layout, bad_rows=BadRows(skip=True), scale=scale)
        )
        if rated is not None and votes is not None:
            assert rated.turns.keys() == votes.turns.keys()
            for each in rated.turns.values():
                assert len(each.votes) == 7
                assert sum(each.votes) == len(each.workers) == len(each.places)


@given(data=st.data(), name=st.sampled_from(CONSENSUS_FILES))
def test_the_consensus_of_msp_podcast_joins_the_votes_or_has_bad_rows(
    data: st.DataObject, name: str, folder: Path, seeds: dict[str, bytes]
) -> None:
    path, votes_path = folder / name, folder / "labels.txt"
    path.write_bytes(data.draw(mutated([seeds[name.replace("concensus", "consensus")]])))
    votes_path.write_bytes(seeds["txt"])
    bad_rows = BadRows(skip=True)
    votes = read_votes(votes_path, "txt", bad_rows=bad_rows)
    consensus = outcome(lambda: read_consensus(path, bad_rows=bad_rows))
    if consensus is None:
        return
    tally = MspPodcastTally("labels.txt", name, "papers", len(votes.turns), 0, votes.unknown_words)
    for turn in join_labels(votes, consensus, bad_rows=bad_rows, tally=tally):
        assert sum(turn.voted.votes) > 0
        assert turn.part in PARTS
        assert turn.speaker != ""
        str(turn.speaker).encode()
    assert sum(map(len, tally.notes()))


def test_the_files_that_are_changed_are_read_whole(folder: Path, seeds: dict[str, bytes]) -> None:
    path = folder / "labels.txt"
    path.write_bytes(seeds["txt"])
    found = read_votes(path, "txt", bad_rows=BadRows(skip=False))
    assert isinstance(found, Votes)
    assert len(found.turns) == len(msp_layout.TURNS)
