"""Label files of Dusha: whatever stands in them becomes votes, or a bad row with its line."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import dusha as layout
from mutation import mutated, outcome

from lalm_ambig.corpora.dusha.rows import ENDINGS
from lalm_ambig.corpora.dusha.votes import OTHER, PartFile, read_votes
from lalm_ambig.corpora.reading.bad_rows import BadRows

PLACE = re.compile(r".*: .+", re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dusha")


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A valid file of each form."""
    folder = tmp_path_factory.mktemp("seed")
    return {
        ending: layout.write_rows(folder, "crowd_train", layout.rows(), ending=ending[1:]).read_bytes()
        for ending in ENDINGS
    }


@given(data=st.data(), ending=st.sampled_from(ENDINGS))
def test_votes_of_dusha_are_one_per_annotator_or_bad_rows(
    data: st.DataObject, ending: str, folder: Path, seeds: dict[str, bytes]
) -> None:
    path = folder / f"raw_crowd_train{ending}"
    path.write_bytes(data.draw(mutated([seeds[ending]])))
    files, bad_rows = [PartFile(path, "crowd", is_test=False)], BadRows(skip=True)
    voted = outcome(lambda: read_votes(files, bad_rows=bad_rows))
    strictly = outcome(lambda: read_votes(files, bad_rows=BadRows(skip=False)))
    assert strictly == (None if bad_rows.lines else voted)
    assert all(PLACE.fullmatch(line) for line in bad_rows.lines)
    for name, clip in ({} if voted is None else voted.clips).items():
        assert name == clip.id
        assert len(set(clip.annotators)) == len(clip.annotators) == len(clip.places) > 0
        assert all(0 <= place <= OTHER for place in clip.places)
        for text in (clip.id, clip.text, clip.speaker, clip.audio_path, *clip.annotators):
            text.encode()
