"""The rules over all families can be broken, and the documentation's page is that of the table."""

from dataclasses import replace
from pathlib import Path

import pytest
from families.outcomes import CHECKS, FEWEST_SHARING, METHODS, Outcome, broken, keep, page, read
from families.table import FAMILIES
from families.write_table import PAGE

NAMES = [f"family{n}" for n in range(FEWEST_SHARING + 4)]


def outcomes(**changed: Outcome) -> dict[str, Outcome]:
    """All is well but for what is given."""
    well = {
        name: Outcome(name, "5", "2026-01-01", passed=CHECKS, shares=n < FEWEST_SHARING)
        for n, name in enumerate(NAMES)
    }
    return well | changed


LAST = Outcome(NAMES[-1], "5", "2026-01-01", passed=CHECKS)
FIRST = Outcome(NAMES[0], "5", "2026-01-01", passed=CHECKS, shares=True)
REFUSED = replace(LAST, passed=(), refused="its own forward fails", unusable=True)


def test_three_may_be_refused_whose_own_forward_cannot_be_used() -> None:
    assert broken(outcomes(), NAMES) == []
    three = {name: replace(REFUSED, family=name) for name in NAMES[-3:]}
    assert broken(outcomes(**three), NAMES) == []
    four = {name: replace(REFUSED, family=name) for name in NAMES[-4:]}
    assert broken(outcomes(**four), NAMES) == ["4 families are refused, 3 may be"]


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (replace(REFUSED, unusable=False), "is refused, but its own forward can be used"),
        (replace(LAST, passed=CHECKS[1:]), "has not passed: loaded"),
        (replace(FIRST, elsewhere=True), "shares the prompt, but its tokens meet outside"),
        (replace(FIRST, shares=False), "24 families share the prompt, not 25"),
    ],
)
def test_a_rule_that_does_not_hold_is_a_line(outcome: Outcome, line: str) -> None:
    found = broken(outcomes(**{outcome.family: outcome}), NAMES)
    assert len(found) == 1
    assert line in found[0]


def test_a_family_without_outcome_is_named() -> None:
    found = outcomes()
    del found[NAMES[-1]]
    assert broken(found, NAMES) == [f"{NAMES[-1]} was not tried"]


def test_outcomes_come_back_from_their_files_the_checks_of_all_processes_together(tmp_path: Path) -> None:
    parts = [replace(FIRST, passed=part) for part in (CHECKS[2:], CHECKS[:3])]
    for outcome in (*parts, REFUSED):
        keep(outcome, tmp_path)
    assert read(tmp_path) == {FIRST.family: FIRST, REFUSED.family: REFUSED}


def test_the_page_has_a_row_for_each_family() -> None:
    text = page([replace(FIRST, longest_shared=64, note="a | b", decoding="equal"), REFUSED])
    assert text.splitlines()[-2:] == [
        f"| {FIRST.family} | {', '.join(METHODS)} | yes, texts of up to 64 tokens | equal lengths together "
        "| a \\| b |",
        f"| {LAST.family} | refused | – | – | its own forward fails |",
    ]
    assert "1 are used and 1 refused; 1 share the prompt" in text


def test_the_documentation_lists_the_families_of_the_table() -> None:
    rows = [
        line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    ]
    listed = [row[0].removeprefix("| ") for row in rows[1:]]
    assert listed == sorted(family.name for family in FAMILIES)
