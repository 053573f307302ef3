"""What a request carries, read into memory within limits: multipart/form-data, or JSON with the sound in base64."""

import asyncio
import base64
import binascii
import json
from dataclasses import dataclass
from email.message import Message

from aiohttp import web

from lalm_ambig.files.json_lines import short_repr
from lalm_ambig.help.names import closest
from lalm_ambig.serving.limits import MAX_TEXT_CHARS, Limits, Place, Refusal

FIELDS = ("audio", "text")
"""Names of the parts of a multipart request, and keys of a JSON request."""
MULTIPART, JSON = "multipart/form-data", "application/json"
MAX_BOUNDARY = 70
"""Longest boundary of a multipart body, by its standard."""
MAX_PARTS = 8
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Form:
    """A recording, a text, or both."""

    audio: bytes | None
    """A sound file."""
    text: str | None


async def read_form(request: web.Request, place: Place, limits: Limits) -> Form:
    """Read a request. Names of files in it are not looked at.

    Args:
        request: The request, of whose body nothing has been read.
        place: Counts the bytes that are held.
        limits: How many those may be.

    Raises:
        Refusal: 400, 408, 413, 415, 422 or 503.
    """
    kind = request.content_type
    if kind not in (MULTIPART, JSON):
        raise Refusal(415, f"expected {MULTIPART} or {JSON}, got {short_repr(kind)}.")
    if (packed := request.headers.get("Content-Encoding", "identity").strip().lower()) != "identity":
        raise Refusal(415, f"expected a body as it is, got Content-Encoding {short_repr(packed)}.")
    body = await _body(request, place, limits.form_bytes if kind == MULTIPART else limits.json_bytes, limits)
    fields = _of_multipart(body, _boundary(request)) if kind == MULTIPART else _of_json(body)
    del body
    form = Form(_audio(fields.get("audio"), limits), _text(fields.get("text")))
    if form.audio is None and form.text is None:
        raise Refusal(400, "nothing to judge: give audio, text, or both.")
    return form


async def _body(request: web.Request, place: Place, most: int, limits: Limits) -> bytes:
    """Read the body. Its stated length is not trusted, and need not be there."""
    too_large = Refusal(
        413, f"the request is too large: sound files of at most {limits.upload_bytes:,} bytes are taken."
    )
    if (request.content_length or 0) > most:
        raise too_large
    place.hold(min(request.content_length or CHUNK_BYTES, most))
    body = bytearray()
    try:
        async with asyncio.timeout(limits.read_s):
            async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                body += chunk
                if len(body) > most:
                    raise too_large
                place.hold(max(place.bytes, len(body)))
    except TimeoutError:
        raise Refusal(408, f"the request took longer than {limits.read_s:g} s to arrive.") from None
    except (web.RequestPayloadError, ConnectionError):
        raise Refusal(400, "the body of the request is broken.") from None
    return bytes(body)


def _boundary(request: web.Request) -> bytes:
    header = Message()
    header["Content-Type"] = request.headers.get("Content-Type", "")
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not 0 < len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
        raise Refusal(400, "the multipart request has no boundary of 1 to 70 letters.")
    return boundary.encode()


def _of_multipart(body: bytes, boundary: bytes) -> dict[str, bytes | str]:
    """The parts of a multipart body by name. An empty part is one that a page's form has left empty."""
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_PARTS + 2)
    fields: dict[str, bytes | str] = {}
    for number, part in enumerate(parts):
        if part.startswith(b"--"):
            return fields
        if number == MAX_PARTS:
            raise Refusal(400, f"the multipart request has more than {MAX_PARTS} parts.")
        head, blank, content = part.partition(b"\r\n\r\n")
        name = _part_name(head)
        if not blank or name is None:
            raise Refusal(400, f"part {number + 1} of the multipart request has no name.")
        _check_name(name, fields)
        if content:
            fields[name] = content if name == "audio" else _utf8(content)
    raise Refusal(400, "the multipart request ends early: its last boundary is missing.")


def _part_name(head: bytes) -> str | None:
    for line in head.decode("utf-8", "replace").split("\r\n"):
        if line.lower().startswith("content-disposition:"):
            header = Message()
            header["Content-Disposition"] = " ".join(line.partition(":")[2].split())
            name = header.get_param("name", header="content-disposition")
            return name if isinstance(name, str) else None
    return None


def _check_name(name: str, fields: dict[str, bytes | str]) -> None:
    if name not in FIELDS:
        guess = closest(name, FIELDS)
        meant = f": did you mean {guess}?" if guess else f": expected {' or '.join(FIELDS)}."
        raise Refusal(400, f"unknown field {short_repr(name)}{meant}")
    if name in fields:
        raise Refusal(400, f"{name} is given twice: one question a request.")


class _Pairs(list[tuple[str, object]]):
    """A JSON object, whose keys may be given twice."""


def _of_json(body: bytes) -> dict[str, bytes | str]:
    try:
        content = json.loads(_utf8(body), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is no JSON.") from None
    if not isinstance(content, _Pairs):
        raise Refusal(400, 'expected a JSON object, such as {"text": "It is eleven o\'clock."}.')
    fields: dict[str, bytes | str] = {}
    for name, value in content:
        _check_name(name, fields)
        if value is None:
            continue
        if not isinstance(value, str):
            raise Refusal(400, f"{name}: expected a text, got {short_repr(value)}.")
        fields[name] = _unpacked(value) if name == "audio" else value
    return fields


def _unpacked(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "audio: expected a sound file in base64.") from None


def _utf8(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(400, "the text is not in UTF-8.") from None


def _audio(value: bytes | str | None, limits: Limits) -> bytes | None:
    if isinstance(value, bytes) and len(value) > limits.upload_bytes:
        what = f"the sound file has {len(value):,} bytes: at most {limits.upload_bytes:,} are taken."
        raise Refusal(413, what)
    return value or None if isinstance(value, bytes) else None


def _text(value: bytes | str | None) -> str | None:
    if not isinstance(value, str):
        return None
    if len(value) > MAX_TEXT_CHARS:
        raise Refusal(413, f"the text has {len(value):,} characters: at most {MAX_TEXT_CHARS:,} are taken.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Refusal(422, "the text has half of a surrogate pair, which is no letter.") from None
    return value if value.strip() else None
