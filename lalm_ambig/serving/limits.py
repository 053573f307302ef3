"""What a server takes, and the answer to what it does not take."""

import math
from dataclasses import dataclass

FORM_BYTES = 64 * 1024
"""Bytes of a form beside its sound: boundaries, headers and text."""
MAX_TEXT_CHARS = 10_000
"""Longest text, in characters; it fits into `FORM_BYTES` in any script."""
MAX_CHANNELS = 8
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 192_000
HELD_BYTES_MIN = 512 * 1024 * 1024
"""Bytes of requests that are held at once, at least."""


class Refusal(Exception):
    """The answer to a request that is not served: a status of HTTP and one line, without paths."""

    def __init__(self, status: int, line: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(line)
        self.status, self.line = status, " ".join(line.split())
        self.retry_after_s = None if retry_after_s is None else max(1, math.ceil(retry_after_s))
        """Seconds after which the same request may be served; None where it never is."""


@dataclass(frozen=True)
class Limits:
    """What one request, and all requests at once, may take."""

    upload_bytes: int = 20 * 1024 * 1024
    """Largest sound file."""
    duration_s: float = 120.0
    """Longest recording."""
    queue: int = 64
    """Requests that are read, decoded or waiting at once; the next one is told to come back."""
    timeout_s: float = 120.0
    """Longest wait for an answer of the model."""
    read_s: float = 60.0
    """Longest time in which a request has to arrive."""
    decode_s: float = 20.0
    """Longest time that decoding may take."""

    @property
    def form_bytes(self) -> int:
        """Largest body of a multipart request."""
        return self.upload_bytes + FORM_BYTES

    @property
    def json_bytes(self) -> int:
        """Largest body of a JSON request: base64 has four characters for three bytes, JSON six for a letter."""
        return 4 * math.ceil(self.upload_bytes / 3) + 2 * FORM_BYTES

    @property
    def held_bytes(self) -> int:
        """Bytes of bodies and samples that are held at once."""
        return max(HELD_BYTES_MIN, 4 * self.json_bytes)


class Admission:
    """Counts the requests that are inside and the bytes that they hold. It belongs to one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.requests = 0
        self.bytes = 0

    def enter(self, *, retry_after_s: float) -> "Place":
        """Return a place for one request, to be used as a context.

        Args:
            retry_after_s: When to come back if there is none.

        Raises:
            Refusal: 503, all places are taken.
        """
        if self.requests >= self.limits.queue:
            raise Refusal(503, "the queue is full: try again later.", retry_after_s=retry_after_s)
        return Place(self, retry_after_s)


class Place:
    """One request's place, from its first byte to its answer."""

    def __init__(self, admission: Admission, retry_after_s: float) -> None:
        self.admission, self.retry_after_s = admission, retry_after_s
        self.bytes = 0
        admission.requests += 1

    def hold(self, size: int) -> None:
        """State how many bytes this request holds now.

        Raises:
            Refusal: 503, all requests together hold too many.
        """
        if size > self.bytes and self.admission.bytes - self.bytes + size > self.admission.limits.held_bytes:
            what = "the server holds as much sound as it may: try again later."
            raise Refusal(503, what, retry_after_s=self.retry_after_s)
        self.admission.bytes += size - self.bytes
        self.bytes = size

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        self.admission.requests -= 1
        self.admission.bytes -= self.bytes
        self.bytes = 0
