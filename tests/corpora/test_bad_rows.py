"""A bad row may be left out; what is wrong with the whole file may not, and leaving rows out is not offered for it."""

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.reading.bad_rows import BadRows


def read(*faults: str, good: int, skip: bool) -> list[str]:
    bad_rows = BadRows(skip=skip)
    with bad_rows.reading("f.csv") as reading:
        for line, what in enumerate(faults, start=2):
            bad_rows.add(what, where=f"f.csv:{line}")
        reading.good = good
    return bad_rows.lines


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("faults", "good"),
    [
        (["column 'A' is '6,0'", "column 'A' is '1,0'"], 1),
        (["clip 1001_A has no votes", "clip 1002_B has no votes"], 0),
        (["4 columns, but the header has 5", "fine? no: 'x'", "6 columns, but the header has 5"], 0),
    ],
)
def test_most_rows_wrong_in_one_way_are_the_files_fault(faults: list[str], good: int, skip: bool) -> None:
    expected = r"f\.csv:2: .*; so are (all 2|2 of 3) rows\. Mend the file"
    with pytest.raises(InputError, match=expected) as raised:
        read(*faults, good=good, skip=skip)
    assert "skip_bad_rows" not in str(raised.value)


def test_half_of_the_rows_or_rows_wrong_in_several_ways_may_be_left_out() -> None:
    for faults, good in ((["'x' is no count"], 1), (["no id", "no votes", "no text"], 1)):
        assert len(read(*faults, good=good, skip=True)) == len(faults)
        with pytest.raises(InputError, match=r"f\.csv:2: .*\. --option skip_bad_rows=true"):
            read(*faults, good=good, skip=False)


def test_the_first_bad_row_is_told_of_at_the_end_of_its_file_and_elsewhere_at_once() -> None:
    bad_rows = BadRows(skip=False)
    with pytest.raises(InputError, match=r"here: no\. --option"):
        bad_rows.add("no", where="here")
    with pytest.raises(InputError, match=r"f:1: cut\? --option"), bad_rows.reading("f") as reading:
        reading.good = 9
        bad_rows.add("cut?", where="f:1")
        bad_rows.add("other", where="f:2")
    bad_rows.skip = True
    with bad_rows.reading("g"):
        pass


def test_an_error_of_the_file_comes_before_its_bad_rows() -> None:
    bad_rows = BadRows(skip=False)
    with pytest.raises(InputError, match="the header"), bad_rows.reading("f"):
        bad_rows.add("cut", where="f:1")
        raise InputError("the header")


def test_a_single_row_that_is_bad_has_no_remedy_in_leaving_it_out() -> None:
    with pytest.raises(InputError, match=r"f\.csv:2: no votes\.$"):
        read("no votes", good=0, skip=False)
