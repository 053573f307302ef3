"""What a run knows from earlier ones: the finished rows, and the paid replies for items that are unfinished.

Two append-only journals. FILE holds a row (`records.Row`) for every item that was finished; FILE.pending the
replies for items in progress, so that a run that was killed pays for none again. It goes when nothing is.
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
    """A line of FILE.pending: a call and the job it was made for."""

    id: str
    key: str
    generation: int
    """How many rows the job had when the call was made: a retry does not take an earlier try's replies."""
    address: str
    """Content address of the call's own request."""
    call: Call


class Store:
    """The rows and pending replies of one output file, locked for this process."""

    def __init__(self, path: Path, *, retry_failed: bool = False) -> None:
        """
        Args:
            path: The JSON Lines file; made if it is not there.
            retry_failed: Treat items whose last row is not `accepted` as still to be done.

        InputError names the line of FILE that is no row of curation.
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
        """`spent_usd`: what all rows and pending replies cost, by the prices of the time they were made."""
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
        """Lines for the user about what was found at opening."""
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
        """True where the item is still to be done."""
        count, outcome = self._rows.get(job, (0, ""))
        return not count or (self.retry_failed and outcome != "accepted")

    def paid_calls(self, job: Job) -> dict[str, Call]:
        """Replies for this job that an earlier, interrupted run has paid for, by the request's address."""
        return self._pending.get(job, {})

    async def add_call(self, job: Job, address: str, call: Call) -> None:
        """Keep a paid reply; returns when it is on disk."""
        self._open.add(job)
        generation = self._rows.get(job, (0, ""))[0]
        paid = Paid(id=job[0], key=job[1], generation=generation, address=address, call=call)
        await self._call_journal.append(paid.model_dump_json())

    async def add_row(self, row: CurationRow) -> None:
        """Keep a finished item; returns when it is on disk."""
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
    """InputError for a file of something else, before its last line is taken for a torn one and dropped."""
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
