"""SHALA-LLM, Table 1: zero-shot, majority labels, and SHALA with and without the weighing of ambiguous items."""

from collections.abc import Sequence

from lalm_ambig.corpora.base import SHALA_METRICS
from lalm_ambig.evaluation.published import published
from lalm_ambig.reporting.layout import Layout, PaperRow
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.tabular.model import ResultTable

TITLE = "Learning from annotators' distributions by reinforcement (SHALA-LLM, Table 1)"
LAYOUT = Layout(
    "b1",
    TITLE,
    (
        ("chaosnli", None),
        ("chaosnli", "mnli"),
        ("chaosnli", "snli"),
        ("msp_podcast", None),
        ("goemotions", None),
    ),
    (
        PaperRow("zero_shot", "Zero-shot"),
        PaperRow("mls", "MLS"),
        PaperRow("shala_wo", "SHALA-LLM (w/o Ambi-En)"),
        PaperRow("shala_wo_batch", "SHALA-LLM (w/o Ambi-En), batch-scaled", optional=True),
        PaperRow("shala", "SHALA-LLM"),
        PaperRow("shala_batch", "SHALA-LLM, batch-scaled", optional=True),
        PaperRow("shala_unscaled", "SHALA-LLM, unscaled", optional=True),
    ),
    SHALA_METRICS,
    compared_with="zero_shot",
)


def sheets(report: Report) -> Sequence[ResultTable]:
    """The table, what training took, and the paper's figures as a table of their own."""
    return [LAYOUT.table(report), *LAYOUT.efforts(report), published("shala_table_1").table()]
