"""Figures of papers: well-formed, marked as not comparable, and only where a source has them."""

import pytest

from lalm_ambig.corpora.base import corpus_class, corpus_names
from lalm_ambig.evaluation.published import literature, published, published_names
from lalm_ambig.tabular.model import TableRow


def texts(row: TableRow) -> list[str]:
    return [*row.names, *(cell.written() for cell in row.cells)]


def test_a_part_has_its_own_figures_and_says_that_they_are_not_comparable() -> None:
    (whole,), (snli,) = literature("chaosnli", None), literature("chaosnli", "snli")
    assert whole.head == ("literature: ChaosNLI", "JSD ↓", "BC ↑", "Acc ↑", "F1 ↑", "WF1 ↑")
    assert texts(whole.rows[-1]) == ["SHALA-LLM", "0.181", "0.966", "0.768", "0.758", "0.767"]
    assert snli.rows[1].names == ("Dist. NLI (Zhou et al. 2022)",)
    for table in (whole, snli):
        caption = "\n".join(table.caption)
        assert "Table 2" in caption
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
    assert "arXiv:" in table.source and table.columns and table.sections
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
    "name", [name for name in published_names() if "_table_" in name and name[-1] in "123"]
)
def test_figures_are_numbers_between_0_and_1(name: str) -> None:
    for section in published(name).sections:
        for row, figures in section.rows.items():
            assert all(figure == "–" or 0 < float(figure.split()[0]) < 1 for figure in figures), row
