"""`stats`: prints the content of a curation file and those of its qualities that can be counted."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_curation import filters
from data_curation.acoustic.terms import says_nothing
from data_curation.records import PROSE, CurationRow, Usage, active
from data_curation.rows import read_rows
from lalm_ambig.core.categories import normal_form
from lalm_ambig.core.errors import EXIT_OK, InputError

OUTCOMES = ("accepted", "rejected", "refused", "unreadable")
SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
NOT_VALIDATED = "acoustic rows: no model validated them; their rules were run again just now"
MOST_REASONS = 12
"""Most reasons that are listed; the rest is one line."""


@dataclass
class Summary:
    """Counts over the rows of one writer. Lengths, cues and variety are over accepted rows only."""

    outcomes: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    """Rows of the acoustic writer by its version."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why rows were not accepted, by rule, or by the full reason where there is no rule."""
    violations: Counter[str] = field(default_factory=Counter)
    """Accepted rows that break a present rule, by rule."""
    violating: int = 0
    words: list[int] = field(default_factory=list)
    js_bits: list[float] = field(default_factory=list)
    with_minority: int = 0
    covered: int = 0
    """Rows among these with a cue for every class that has votes."""
    minority_cues: int = 0
    empty_minority_cues: int = 0
    """The acoustic writer's cues for classes that do not lead, and those among them that name no cue."""
    texts: set[str] = field(default_factory=set)
    sentences: set[str] = field(default_factory=set)
    sentence_count: int = 0
    vocabulary: set[str] = field(default_factory=set)
    attempts: int = 0
    usage: Usage = field(default_factory=Usage)
    paid_usd: float = 0.0

    def add(self, row: CurationRow) -> None:
        """Count one row."""
        self.outcomes[row.outcome] += 1
        if row.writer == "acoustic":
            self.versions[row.writer_version or "before 4"] += 1
        self.reasons.update({reason.partition(": ")[0] for reason in row.reasons})
        self.attempts += row.attempts
        self.usage = self.usage.plus(row.usage)
        self.paid_usd += row.paid_usd
        if row.js_bits is not None:
            self.js_bits.append(row.js_bits)
        if row.outcome == "accepted" and row.reasoning is not None:
            self._add_text(row)
            self._add_cues(row)

    def _add_text(self, row: CurationRow) -> None:
        assert row.reasoning is not None
        reasoning = row.reasoning
        broken = {reason.partition(": ")[0] for reason in filters.check(reasoning, row.votes, row.categories)}
        self.violations.update(broken)
        self.violating += bool(broken)
        text = reasoning.as_text()
        self.words.append(len(text.split()))
        self.texts.add(text)
        self.vocabulary.update(word.casefold() for word in WORD.findall(text))
        prose = [getattr(reasoning, name) for name in PROSE] + [c.cue for c in reasoning.class_cues]
        sentences = [sentence for part in prose for sentence in SENTENCE_END.split(part)]
        self.sentences.update(sentences)
        self.sentence_count += len(sentences)

    def _add_cues(self, row: CurationRow) -> None:
        assert row.reasoning is not None
        names = active(row.votes, row.categories)
        if len(names) < 2:
            return
        cues = {normal_form(cue.category): cue.cue for cue in row.reasoning.class_cues}
        self.with_minority += 1
        self.covered += all(normal_form(name) in cues for name in names)
        minority = [cues[normal_form(name)] for name in names[1:] if normal_form(name) in cues]
        if row.writer == "acoustic":
            self.minority_cues += len(minority)
            self.empty_minority_cues += sum(map(says_nothing, minority))


def summarise(path: Path) -> dict[str, Summary]:
    """Counts by writer, over the last row of each job.

    Raises:
        InputError: A row is malformed (the message has file and line), or there is none.
    """
    summaries: dict[str, Summary] = {}
    for row in read_rows(path):
        summaries.setdefault(row.writer, Summary()).add(row)
    if not summaries:
        raise InputError("no rows.", where=str(path), remedy="Write some with python -m data_curation write.")
    return dict(sorted(summaries.items()))


def print_stats(path: Path) -> int:
    """Print the tables of a file; returns the exit code.

    Raises:
        InputError: A row is malformed (the message has file and line), or there is none.
    """
    summaries = summarise(path)
    console = Console(highlight=False, soft_wrap=True)
    table = Table(f"{path.name}", *summaries, title="Curated reasoning")
    for label, cell in QUANTITIES:
        cells = [cell(summary) for summary in summaries.values()]
        if any(cells):
            table.add_row(label, *(text or "–" for text in cells))
    console.print(table)
    for title, counts in (
        ("Why rows were not accepted", {name: summary.reasons for name, summary in summaries.items()}),
        ("Rules broken by accepted rows", {name: summary.violations for name, summary in summaries.items()}),
    ):
        if any(counts.values()):
            console.print(_counts(title, counts))
    if "acoustic" in summaries:
        console.print(NOT_VALIDATED, markup=False)
    return EXIT_OK


def _counts(title: str, by_writer: dict[str, Counter[str]]) -> Table:
    table = Table("reason", *by_writer, title=title)
    total = sum(by_writer.values(), Counter[str]())
    for reason, _ in total.most_common(MOST_REASONS):
        table.add_row(Text(reason), *(str(counts[reason]) for counts in by_writer.values()))
    if len(total) > MOST_REASONS:
        listed = {reason for reason, _ in total.most_common(MOST_REASONS)}
        rest = [sum(n for name, n in counts.items() if name not in listed) for counts in by_writer.values()]
        table.add_row(f"{len(total) - MOST_REASONS} more", *map(str, rest))
    return table


def percentile(values: Sequence[int] | Sequence[float], share: float) -> float:
    """The value below which a share of the values is, interpolated.

    >>> percentile([1, 2, 3, 4], 0.5)
    2.5
    """
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def _spread(values: Sequence[int] | Sequence[float], digits: int) -> str:
    if not values:
        return ""
    low, high = percentile(values, 0.05), percentile(values, 0.95)
    return f"{fmean(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _share(part: int, total: int) -> str:
    return f"{part:,} of {total:,} ({100 * part / total:.1f} %)" if total else ""


def _usage(summary: Summary) -> str:
    usage = summary.usage
    tokens = usage.prompt_tokens + usage.audio_tokens + usage.completion_tokens
    return f"{tokens:,} tokens, ${summary.paid_usd:.2f}" if tokens else ""


Quantity = Callable[[Summary], str]
QUANTITIES: tuple[tuple[str, Quantity], ...] = (
    ("rows", lambda s: f"{s.outcomes.total():,}"),
    ("version", lambda s: ", ".join(f"{name}: {count:,}" for name, count in sorted(s.versions.items()))),
    *((outcome, lambda s, name=outcome: f"{s.outcomes[name]:,}") for outcome in OUTCOMES),
    ("accepted rows that break a rule", lambda s: _share(s.violating, len(s.words))),
    ("words, mean (5 % to 95 %)", lambda s: _spread(s.words, 0)),
    ("minority items with a cue for every class", lambda s: _share(s.covered, s.with_minority)),
    (
        "minority cues that name nothing in the voice",
        lambda s: _share(s.empty_minority_cues, s.minority_cues),
    ),
    ("distinct texts", lambda s: _share(len(s.texts), len(s.words))),
    ("distinct sentences", lambda s: _share(len(s.sentences), s.sentence_count)),
    ("vocabulary", lambda s: f"{len(s.vocabulary):,} words" if s.vocabulary else ""),
    ("attempts a row", lambda s: f"{s.attempts / s.outcomes.total():.2f}"),
    ("JS of validated rows in bits, mean (5 % to 95 %)", lambda s: _spread(s.js_bits, 3)),
    ("usage", _usage),
)
"""Rows of the table, which has one column per writer. An empty cell is a dash; a row of empty cells is left out."""
