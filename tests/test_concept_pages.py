"""The pages on concepts, reproduction and extension say what the code does: examples run, keys and files exist."""

import doctest
import json
import re
from pathlib import Path

import pytest

from lalm_ambig.metrics.base import DistributionMetric, all_metrics

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for room in ("concepts", "extend", "internals", "reproduce", "results")
    for path in (DOCS / room).glob("*.md")
)
PAGES += [path for path in (DOCS / "glossary.md",) if path.is_file()]
EXAMPLE = re.compile(r"^```pycon\n(.*?)^```", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
KEY = re.compile(r"(?<![\w./])(?:model|data|policy|run)(?:\.\w+)+")
FILE = re.compile(r"(?:lalm_ambig|data_curation|configs|tests|docs|examples|notebooks)/[\w./{},*-]+")
ROOMS = "|".join(sorted(path.name for path in (ROOT / "lalm_ambig").iterdir() if path.is_dir()))
ROOM = re.compile(rf"(?<![\w./])(?:{ROOMS})/[\w/{{}},]+\.py")
"""A file of the package without its name."""
NOT_KEYS = {"policy.py", "model.settings"}
"""What looks like a key: a file, and a key that there could have been."""


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def quoted(page: Path) -> list[str]:
    """What a page has in backticks, outside its blocks of code."""
    return QUOTED.findall(re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL))


def keys() -> set[str]:
    """Every configuration key, and what precedes its dots."""
    found = set(re.findall(r'"((?:model|data|policy|run)\.[\w.]+)"', _keys_file()))
    return {".".join(key.split(".")[: n + 1]) for key in found for n in range(key.count(".") + 1)}


def _keys_file() -> str:
    return json.dumps(json.loads((ROOT / "lalm_ambig/help/keys.json").read_text("utf-8")))


@pytest.mark.parametrize("page", [p for p in PAGES if EXAMPLE.search(p.read_text("utf-8"))], ids=name_of)
def test_the_examples_of_a_page_print_what_it_says(page: Path) -> None:
    text = "\n".join(EXAMPLE.findall(page.read_text("utf-8")))
    examples = doctest.DocTestParser().get_doctest(text, {}, name_of(page), str(page), 0)
    said: list[str] = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(examples, out=said.append)
    assert tried > 0 and failed == 0, "".join(said)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_key_of_a_page_exists(page: Path) -> None:
    named = {word for text in quoted(page) for word in KEY.findall(text)}
    assert sorted(named - keys() - NOT_KEYS) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = {word.rstrip("./") for text in quoted(page) for word in FILE.findall(text) if "NAME" not in text}
    named |= {
        f"lalm_ambig/{word}" for text in quoted(page) for word in ROOM.findall(text) if "NAME" not in text
    }
    missing = [word for word in named if not any(list(ROOT.glob(path)) for path in _expanded(word))]
    assert missing == []


def _expanded(path: str) -> list[str]:
    """`a/{b,c}.py` as two paths."""
    before, brace, rest = path.partition("{")
    if not brace:
        return [path]
    choices, _, after = rest.partition("}")
    return [f"{before}{choice}{end}" for choice in choices.split(",") for end in _expanded(after)]


def test_the_table_of_metrics_says_what_each_metric_claims() -> None:
    page = (DOCS / "concepts" / "metrics.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    said = {row[0]: row[1:5] for row in rows if len(row) == 6 and row[0].startswith("`")}
    assert said == {f"`{metric.name}`": _claims(metric) for metric in all_metrics(2)}


def _claims(metric: DistributionMetric) -> list[str]:
    """Head, range, direction and interval, as the page writes them."""
    low, high = (f"{bound:g}".replace("-", "−").replace("inf", "∞") for bound in metric.bounds)
    better = {True: "higher", False: "lower", None: "nearest 0"}[metric.higher_is_better]
    interval = "none" if metric.kind == "binned" else metric.kind
    return [metric.label, f"{'(' if '∞' in low else '['}{low}, {high}]", better, interval]
