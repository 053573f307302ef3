"""Ambiguity-aware LALM, Table 2: methods on IEMOCAP and CREMA-D."""

from collections.abc import Sequence

from lalm_ambig.evaluation.published import published
from lalm_ambig.reporting.layout import Layout, PaperRow
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.tabular.model import ResultTable

TITLE = "Post-training methods with the ambiguity-aware objective (ambiguity-aware LALM, Table 2)"
LAYOUT = Layout(
    "a2",
    TITLE,
    (("iemocap", None), ("crema_d", None)),
    (
        PaperRow("zero_shot", "Base model"),
        PaperRow("audio_reasoner", "Audio-Reasoner"),
        PaperRow("sft", "SFT"),
        PaperRow("sft_kl_only", "SFT, KL only", optional=True),
        PaperRow("dpo", "DPO"),
        PaperRow("grpo", "GRPO"),
        PaperRow("grpoz", "GRPOz"),
    ),
    ("js_div_bits", "bc", "r2_pearson_item", "brier_mean"),
)


def sheets(report: Report) -> Sequence[ResultTable]:
    """The table, what training took, and the paper's figures as a table of their own."""
    return [LAYOUT.table(report), *LAYOUT.efforts(report), published("lalm_table_2").table()]
