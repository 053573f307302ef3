"""Figures of papers: well-formed, marked as not comparable, and only where a source has them."""

import re
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import corpus_class, corpus_names
from lalm_ambig.evaluation.published import literature, published, published_names, read_published
from lalm_ambig.tabular.model import TableRow

GOOD = {
    "paper": "SHALA-LLM",
    "edition": "'arXiv:2606.05376, PDF'",
    "table": "Table 2",
    "place": "page 7",
    "columns": "[JSD ↓]",
    "sections": "[{title: A, rows: {mine: ['0.1'], other: ['0.2']}}]",
}


def texts(row: TableRow) -> list[str]:
    return [*row.names, *(cell.written() for cell in row.cells)]


def test_a_part_has_its_own_figures_and_says_that_they_are_not_comparable() -> None:
    (whole,), (snli,) = literature("chaosnli", None), literature("chaosnli", "snli")
    assert whole.head == ("literature: ChaosNLI", "JSD ↓", "BC ↑", "Acc ↑", "F1 ↑", "WF1 ↑")
    assert texts(whole.rows[-1]) == ["SHALA-LLM", "0.181", "0.966", "0.768", "0.758", "0.767"]
    assert snli.rows[1].names == ("Dist. NLI (Zhou et al. 2022)",)
    for table in (whole, snli):
        caption = "\n".join(table.caption)
        assert "From SHALA-LLM (arXiv:2606.05376v1, HTML), Table 2, section 5.1: " in caption
        assert "Quoted there from other papers: " in caption and ": SHALA-LLM" not in caption
        assert "other items and splits, not comparable item by item" in caption
        assert not any(cell.rank for row in table.rows for cell in row.cells)


def test_a_cell_that_two_tables_of_a_paper_print_differently_has_a_note() -> None:
    (table,) = literature("msp_podcast", None)
    assert table.rows[1].cells[1].text == "0.649"
    assert "Table 1 has BC 0.694" in "\n".join(table.caption)


def test_nothing_is_shown_where_no_source_has_the_corpus() -> None:
    assert literature("demo", None) == []
    assert literature("chaosnli", "nosuch") == []
    assert published("shala_table_8").figures("demo", None) == {}


@pytest.mark.parametrize("name", published_names())
def test_every_source_is_complete(name: str) -> None:
    table = published(name)
    place = r"page \d+" if "PDF" in table.source else r"(section|appendix) [A-Z\d.]+"
    assert re.fullmatch(rf"[\w -]+ \(arXiv:[\dv.]+, (PDF|HTML)\), Table \d+, {place}", table.source)
    assert name.rsplit("_", 1)[1] == table.source.split("Table ")[1].split(",")[0], "a file is a table"
    assert table.source in table.table().title and table.columns and table.sections
    for section in table.sections:
        if section.corpus is not None:
            cls = corpus_class(section.corpus) if section.corpus in corpus_names() else None
            assert cls is not None, section.corpus
            assert section.part is None or section.part in cls.parts
        assert section.corpus is not None or not section.literature
        for row, figures in section.rows.items():
            assert len(figures) == len(table.columns), row
            assert any(figure != "–" for figure in figures), row
        for row, column in section.cell_notes:
            assert row in section.rows and column in table.columns


@pytest.mark.parametrize(
    "name", [name for name in published_names() if re.fullmatch(r"\w+_table_[123]", name)]
)
def test_figures_are_numbers_between_0_and_1(name: str) -> None:
    for section in published(name).sections:
        for row, figures in section.rows.items():
            assert all(figure == "–" or 0 < float(figure.split()[0]) < 1 for figure in figures), row


def test_the_pages_are_those_of_the_papers() -> None:
    assert published("lalm_table_2").source == "ambiguity-aware LALM (arXiv:2603.08230, PDF), Table 2, page 4"
    assert published("lalm_table_3").source.endswith("Table 3, page 4")
    assert published("shala_table_10").source.endswith("Table 10, appendix C.2.3")


def test_a_row_with_another_name_in_the_paper_says_which() -> None:
    rows = published("shala_table_9").table().rows
    assert rows[-1].names == ("MSP-Podcast", "4+")
    assert rows[-1].notes == ("in the paper this row is “4+ labels”",)
    assert published("shala_table_6").table().rows[0].notes == ()


def write(path: Path, **changes: str | None) -> Path:
    lines = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    path.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()), encoding="utf-8")
    return path


def test_only_rows_that_are_not_the_papers_own_are_quoted(tmp_path: Path) -> None:
    table = read_published(write(tmp_path / "a.yaml", own_rows="[mine]"))
    assert table.source == "SHALA-LLM (arXiv:2606.05376, PDF), Table 2, page 7"
    assert table.quoted(table.sections[0]) == ["other"]
    alone = read_published(write(tmp_path / "b.yaml"))
    assert alone.quoted(alone.sections[0]) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"place": None}, "place must be a text, got None. Add place: TEXT"),
        ({"place": "7"}, "place must be a text, got 7"),
        ({"paper": "''"}, "paper must be a text, got ''"),
        ({"place": "p. 7"}, "place must be as page 4 in 'arXiv:2606.05376, PDF', got 'p. 7'"),
        ({"place": "page 0"}, "place must be as page 4"),
        ({"place": "section 5"}, "place must be as page 4"),
        ({"edition": "'arXiv:1, HTML'"}, r"place must be as section 5\.1 or appendix .* got 'page 7'"),
        ({"table": "Tables 2 and 3"}, "table must be as 'Table 2', got 'Tables 2 and 3'"),
        ({"own_rows": "[ours]"}, "there is no row 'ours' in it"),
        ({"sections": "[{title: A, rows: {a: ['1']}, printed: {b: B}}]"}, "there is no row 'b' in it"),
    ],
)
def test_a_file_that_does_not_say_where_its_figures_are_printed_is_refused(
    tmp_path: Path, changes: dict[str, str | None], message: str
) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read_published(write(tmp_path / "table.yaml", **changes))
    assert str(raised.value).startswith(str(tmp_path / "table.yaml"))


def test_every_change_that_its_two_figures_do_not_give_has_a_note() -> None:
    """The change to zero-shot in SHALA-LLM, Table 1, is what rounding allows, or has a note."""
    table = published("shala_table_1")
    flagged = 0
    for section in table.sections:
        base = [float(figure) for figure in section.rows["Zero-shot"]]
        for row, figures in section.rows.items():
            for column, before, figure in zip(table.columns, base, figures, strict=True):
                if row == "Zero-shot":
                    continue
                after, change = re.fullmatch(r"(\S+) \(([+-][\d.]+)%\)", figure).groups()  # type: ignore[union-attr]
                sign = -1 if column.endswith("↓") else 1
                shares = [
                    100 * sign * (float(after) + up - before - down) / (before + down)
                    for up in (-5e-4, 5e-4)
                    for down in (-5e-4, 5e-4)
                ]
                fits = min(shares) - 0.06 <= float(change) <= max(shares) + 0.06
                note = section.cell_notes.get((row, column), "")
                assert fits != ("the two figures give" in note), (section.title, row, column, shares)
                flagged += not fits
    assert flagged == 5


def test_counts_of_a_corpus_add_up_in_every_table() -> None:
    def total(name: str, corpus: str, part: str | None) -> int:
        rows = published(f"shala_table_{name}").figures(corpus, part).values()
        return sum(int(row["items"].replace(",", "")) for row in rows)

    for part, items in ((None, 3113), ("mnli", 1599), ("snli", 1514)):
        assert total("5", "chaosnli", part) == total("8", "chaosnli", part) == items
    assert total("6", "msp_podcast", None) == total("9", "msp_podcast", None) == 12955
    assert total("7", "goemotions", None) == total("10", "goemotions", None) == 6567
