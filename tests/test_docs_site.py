"""The site of docs/: every page can be reached, and every link within the repository leads somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2", re.MULTILINE | re.DOTALL)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")


def pages() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


def entries(page: Path) -> list[Path]:
    """Pages that a page's table of contents lists."""
    listed: list[Path] = []
    for block in TOCTREE.findall(page.read_text(encoding="utf-8")):
        for line in filter(None, (line.strip() for line in block.splitlines() if line.strip()[:1] != ":")):
            target = re.sub(r"^.*<(.*)>$", r"\1", line)
            found = sorted(page.parent.glob(f"{target}.md"))
            assert found, f"{page.relative_to(ROOT)}: no page {target}"
            listed += found
    return listed


def links(page: Path) -> list[str]:
    """What a page links to, but for addresses and examples of code."""
    text = re.sub(r"`[^`\n]*`", "", FENCED.sub("", page.read_text(encoding="utf-8")))
    return [link for link in LINK.findall(text) if not re.match(r"\w+:", link)]


def test_every_page_is_reached_from_the_first() -> None:
    reached, waiting = set[Path](), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += entries(page)
    assert [page.relative_to(DOCS).as_posix() for page in pages() if page not in reached] == []


@pytest.mark.parametrize("page", [*pages(), *sorted(ROOT.glob("*.md"))], ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files_of_the_repository(page: Path) -> None:
    targets = {
        link: (page.parent / link.partition("#")[0]).resolve() for link in links(page) if link[0] != "#"
    }
    assert [
        link for link, path in targets.items() if not path.exists() or not path.is_relative_to(ROOT)
    ] == []
    ignored = subprocess.run(
        ["git", "-C", str(ROOT), "check-ignore", "--", *map(str, targets.values())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout == "", "nobody else has these files"


def test_a_page_has_one_title() -> None:
    """The tables that `study` writes begin with a bold line, which the site takes for one."""
    wrong = []
    for page in pages():
        text = FENCED.sub(
            "", re.sub(r"\A\*\*(.+)\*\*$", r"# \1", page.read_text("utf-8"), flags=re.MULTILINE)
        )
        if not text.startswith("# ") or len(re.findall(r"^# ", text, re.MULTILINE)) != 1:
            wrong.append(page.relative_to(DOCS).as_posix())
    assert wrong == []


def test_rows_of_a_table_have_as_many_cells_as_its_head() -> None:
    """What is behind a bar too many is not shown: bars in code need a backslash in a table."""
    wrong = []
    for page in [*pages(), *sorted(ROOT.glob("*.md"))]:
        lines = FENCED.sub("", page.read_text(encoding="utf-8")).splitlines()
        cells = 0
        for line in lines:
            count = len(re.findall(r"(?<!\\)\|", line.strip())) if line.strip().startswith("|") else 0
            if count and cells and count != cells:
                wrong.append(f"{page.relative_to(ROOT)}: {line}")
            cells = (cells or count) if count else 0
    assert wrong == []
