"""The results of earlier runs: finished rows, and the paid replies for unfinished items.

There are two append-only journals. FILE has a row (`records.CurationRow`) per finished item. FILE.pending has the
replies for items in progress, so that no reply is paid for again after a kill. It is removed when no item is in
progress.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from pydantic import BaseModel, ValidationError

from data_curation.journal import Journal
from data_curation.records import Call, CurationRow
from data_curation.rows import Job, job_states, row_fields
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.failures import as_cannot_write


class Paid(BaseModel):
    """A line of FILE.pending: a call and its job."""

    id: str
    key: str
    generation: int
    """Number of rows that the job had when the call was made, so that a retry does not take earlier replies."""
    address: str
    """Content address of the question."""
    call: Call


class Store:
    """The rows and pending replies of one output file, locked for this process."""

    def __init__(self, path: Path, *, retry_failed: bool = False) -> None:
        """Args:
            path: The JSON Lines file; it is created if need be.
            retry_failed: Whether items whose last row is not `accepted` are done again.

        Raises:
            InputError: A line of FILE is not a row of curation; the message names it.
        """
        self.retry_failed = retry_failed
        self._pending: dict[Job, dict[str, Call]] = defaultdict(dict)
        self._open: set[Job] = set()
        pending = path.with_name(f"{path.name}.pending")
        _check_ours(path, begin=b'{"key":', check=row_fields)
        _check_ours(pending, begin=b'{"id":', check=_paid)
        self._row_journal = Journal(path)
        self._call_journal = Journal(pending)
        self._rows, self.spent_usd = job_states(self._row_journal.lines())
        """`spent_usd`: cost of all rows and pending replies, by the prices of their time."""
        self._load_pending()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._open:
            self._call_journal.path.unlink(missing_ok=True)
        self._call_journal.close()
        self._row_journal.close()

    @property
    def notes(self) -> list[str]:
        """Warnings about incomplete lines that were dropped at opening."""
        journals = [journal for journal in (self._row_journal, self._call_journal) if journal.dropped_bytes]
        return [
            f"warning: {journal.path} ended in a torn line, a write that was cut short: its "
            f"{journal.dropped_bytes} bytes were dropped"
            for journal in journals
        ]

    def __len__(self) -> int:
        """Number of jobs that have a row."""
        return len(self._rows)

    def wants(self, job: Job) -> bool:
        """Whether the job is still to be done."""
        count, outcome = self._rows.get(job, (0, ""))
        return not count or (self.retry_failed and outcome != "accepted")

    def paid_calls(self, job: Job) -> dict[str, Call]:
        """Replies for this job that an interrupted run paid for, by the question's address."""
        return self._pending.get(job, {})

    async def add_call(self, job: Job, address: str, call: Call) -> None:
        """Store a paid reply. Returns when it is on disk."""
        self._open.add(job)
        generation = self._rows.get(job, (0, ""))[0]
        paid = Paid(id=job[0], key=job[1], generation=generation, address=address, call=call)
        await self._call_journal.append(paid.model_dump_json())

    async def add_row(self, row: CurationRow) -> None:
        """Store a finished item. Returns when it is on disk."""
        await self._row_journal.append(row.model_dump_json())
        self._finish(row)

    def add_row_now(self, row: CurationRow) -> None:
        """`add_row` for a program without an event loop."""
        self._row_journal.append_now(row.model_dump_json())
        self._finish(row)

    def _finish(self, row: CurationRow) -> None:
        job = (row.id, row.key)
        self._rows[job] = (self._rows.get(job, (0, ""))[0] + 1, row.outcome)
        self._pending.pop(job, None)
        self._open.discard(job)

    def _load_pending(self) -> None:
        for where, line in self._call_journal.lines():
            paid = _paid(line, where)
            job = (paid.id, paid.key)
            if paid.generation == self._rows.get(job, (0, ""))[0]:
                self._pending[job][paid.address] = paid.call
                self._open.add(job)
                self.spent_usd += paid.call.usage.cost_usd


def _paid(line: bytes, where: str) -> Paid:
    try:
        return Paid.model_validate_json(line)
    except ValidationError as error:
        raise InputError("not a pending reply; delete the file to go on without it", where=where) from error


def _check_ours(path: Path, *, begin: bytes, check: Callable[[bytes, str], object]) -> None:
    """Refuse a file of another kind, before its last line is dropped as incomplete."""
    if not path.is_file():
        return
    with as_cannot_write(path), path.open("rb") as lines:
        number, line = next(((n, line) for n, line in enumerate(lines, start=1) if line.strip()), (1, begin))
    if line.endswith(b"\n"):
        check(line, f"{path}:{number}")
    elif not line.startswith(begin[: len(line)]):
        raise InputError(
            "this is no file of curation: it is left as it is.",
            where=str(path),
            remedy="Name another as --out.",
        )
