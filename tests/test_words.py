"""Nothing that ships cites a document that a reader cannot find: papers are cited by name and number.

*ambiguity-aware LALM, eq. 3* and *SHALA-LLM, eq. 8*; `docs/reproduce/papers.md` has the references. Our decisions
are said where they act.
"""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("lalm_ambig", "data_curation", "configs", "notebooks", "docs", "examples")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
NUMBERED = r"(?:Tables?|Figs?\.?|Figures?|App\.|Appendix|[Ss]ection|eqs?\.?|equations?)"
FORBIDDEN = {
    "the specification": re.compile(r"\bSPEC\b"),
    "a proposal": re.compile(r"\b[Pp]roposals?\b"),
    "a paper by its letter": re.compile(r"\b[Pp]apers? [AB]\b"),
    "an equation by a letter": re.compile(r"\b[AB] ?\(\d+(?:[–-]\d+)?\)"),
    "a section by a letter": re.compile(r"\b[AB] [345]\.\d(?:\.\d)?\b(?! ?(?:%|[GMk]?B|s|ms|h|GiB)\b)"),
    "a table by a letter": re.compile(rf"(?<!App\. )(?<!Appendix )\b[AB](?:'s)?,? {NUMBERED} ?[A-Z]?\.?\d"),
    "a paper as a bare letter": re.compile(r"\bB (?:says|leaves|gives|prints)\b|(?<![\w'’])[AB]'s [a-z\"“]"),
}
WAITING: frozenset[str] = frozenset()
"""Files that still have such a word. It only shrinks: a file that is clean is taken off."""


def shipped_files() -> list[Path]:
    """Text files that git tracks in the folders and pages that ship; without git, all that lie there."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--", *SHIPPED, *PAGES]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        files = [
            path for room in SHIPPED for path in (ROOT / room).rglob("*") if "__pycache__" not in path.parts
        ]
        files += [ROOT / page for page in PAGES]
    return [path for path in files if path.is_file() and path.suffix not in (".png", ".gz")]


def words_in(text: str) -> list[str]:
    """Each forbidden word with its kind."""
    return [
        f"{kind}: {match[0]!r}" for kind, pattern in FORBIDDEN.items() for match in pattern.finditer(text)
    ]


def test_nothing_that_ships_cites_what_a_reader_cannot_find() -> None:
    wrong = {path.relative_to(ROOT).as_posix(): words_in(path.read_text("utf-8")) for path in shipped_files()}
    wrong = {name: words for name, words in wrong.items() if words}
    new = {name: words for name, words in wrong.items() if name not in WAITING}
    assert new == {}
    assert set(wrong) >= WAITING, f"clean now, take off the list: {sorted(WAITING - set(wrong))}"


@pytest.mark.parametrize(
    "text",
    [
        "as SPEC 4 says",
        "its proposal",
        "paper A's rate",
        "the weight of A(6)",
        "eq. B(10)",
        "see A 3.3.1",
        "B 3.2",
        "A Table 2",
        "(B, Table 8)",
        "B section 4",
        "B's App. C.1.2",
        "B's four prompts",
        "where B leaves a value",
    ],
)
def test_each_of_these_words_is_seen(text: str) -> None:
    assert words_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "SPECIAL and MODEL_SPEC",
        "SHALA-LLM, Table 2, and ambiguity-aware LALM, eq. 3",
        "items_paper_b",
        "A 3.5 GB file",
        "A table of results",
        "LoRA(8) and js(A, B)",
        "App. B.2 of SHALA-LLM",
        "SHALA-LLM, App. B, Table 4",
        "`--table a2 b1`",
        "proposed by Demszky et al.",
    ],
)
def test_none_of_these_words_is_taken_for_one(text: str) -> None:
    assert words_in(text) == []


def test_the_page_of_the_papers_names_modules_that_exist() -> None:
    page = (ROOT / "docs" / "reproduce" / "papers.md").read_text("utf-8")
    paths = set[str]()
    for name in re.findall(r"`((?:lalm_ambig|data_curation)[\w.{},]*)`", page):
        before, _, rest = name.partition("{")
        choices = rest.removesuffix("}").split(",") if rest else [""]
        paths |= {f"{before}{choice}".replace(".", "/") for choice in choices}
    missing = [path for path in paths if not (ROOT / path).is_dir() and not (ROOT / f"{path}.py").is_file()]
    assert len(paths) > 20 and missing == []
