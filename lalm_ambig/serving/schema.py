"""The interface's records, and their schema in OpenAPI 3.1 with this model's classes and these limits."""

import re
from typing import Any

from lalm_ambig import __version__
from lalm_ambig.inference.answer import Answer
from lalm_ambig.inference.model import Model
from lalm_ambig.serving.limits import MAX_CHANNELS, MAX_RATE_HZ, MAX_TEXT_CHARS, MIN_RATE_HZ, Limits

Schema = dict[str, Any]
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number", "minimum": 0}
TRUTH: Schema = {"type": "boolean"}
CLAUSES = re.compile(r"(?<=[.;:,]) ")
"""Ends of the clauses of a line."""
OPTION = re.compile(r"\(?(?<![\w-])--[a-z][\w.-]*(?: [A-Z]+)?\)?")
"""An option of a command line, with the placeholder of its value."""
NOTES: Schema = {"type": "array", "items": {"type": "string"}}
REFUSALS = {
    400: "The request is malformed, or has neither audio nor text.",
    403: "Another host's name, or a page of another site.",
    408: "The request took too long to arrive.",
    413: "The request, the sound file, the recording or the text is too large.",
    415: "Neither multipart nor JSON; or the file is no sound that can be decoded.",
    422: "Sound or text that the model cannot be given: silent, truncated, too short, not finite and so on.",
    500: "The model failed.",
    503: "The queue is full, or no answer came in time. Retry-After says when to come back.",
}


def answer_record(answer: Answer, *, seen_in_training: str | None) -> dict[str, object]:
    """An answer as the interface gives it: that of `predict --out`, with the reasoning, without an id.

    Args:
        answer: The answer.
        seen_in_training: The note on an item that the model was trained on, or may have been.
    """
    record = answer.as_dict()
    del record["id"]
    told = None if seen_in_training is None else without_options(seen_in_training)
    notes = list(map(without_options, answer.notes))
    return {**record, "notes": notes, "reasoning": answer.reasoning, "seen_in_training": told}


def without_options(line: str) -> str:
    """A line without the clauses that name options of a command, which a client does not have.

    >>> without_options("it is too long; without --prompt it would fit")
    'it is too long'
    """
    parts = [part for part in CLAUSES.split(line) if not OPTION.search(part)]
    plain = " ".join(parts).rstrip(" ;:,")
    return plain or " ".join(OPTION.sub("", line).split())


def model_record(model: Model, limits: Limits) -> dict[str, object]:
    """What a client needs to know of a model."""
    return {
        "name": model.name,
        "classes": list(model.classes),
        "never_trained": list(model.never_trained),
        "prompts": {"sound": model.encoder.template, "text": model.encoder.text_template},
        "readout": model.method.readout,
        "reasons": model.method.reasoning,
        "samples": model.samples,
        "hears": model.window_s > 0,
        "window_s": model.window_s,
        "notes": list(map(without_options, model.notes)),
        "limits": {
            "upload_bytes": limits.upload_bytes,
            "duration_s": limits.duration_s,
            "text_characters": MAX_TEXT_CHARS,
            "queue": limits.queue,
            "timeout_s": limits.timeout_s,
        },
        "version": __version__,
    }


def openapi(classes: tuple[str, ...], limits: Limits, *, has_page: bool) -> Schema:
    """The schema.

    Args:
        classes: Of the model.
        limits: Of the server.
        has_page: Whether the page's examples are served, too.
    """
    paths = {
        "/v1/predict": {"post": _predict(limits)},
        "/v1/model": {"get": _get("What the model answers, and what it takes.", "Model")},
        "/health": {"get": _get("Whether the server answers.", "Health")},
    }
    if has_page:
        paths |= _example_paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lalm_ambig",
            "version": __version__,
            "description": "How people would divide over classes, as a trained policy estimates it.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(classes)},
    }


def _example_paths() -> dict[str, Schema]:
    """The paths of the page's examples."""
    number = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
    listed = _json("The items.", {"type": "array", "items": _ref("Example")})
    sound = {"description": "The clip.", "content": {"audio/*": {"schema": {}}}}
    answer = _json("The answer.", _ref("Answer"))
    return {
        "/v1/examples": {"get": {"summary": "Items of the run's corpus.", "responses": {"200": listed}}},
        "/v1/examples/{number}/audio": {
            "get": {
                "summary": "The clip of one of them.",
                "parameters": [number],
                "responses": {"200": sound, **_refusals(403, 404)},
            }
        },
        "/v1/examples/{number}/predict": {
            "post": {
                "summary": "The model's answer to one of them.",
                "parameters": [number],
                "responses": {"200": answer, **_refusals(403, 404, 422, 500, 503)},
            }
        },
    }


def _predict(limits: Limits) -> Schema:
    sound = (
        f"A sound file of a format that libsndfile reads: at most {limits.upload_bytes:,} bytes, "
        f"{limits.duration_s:g} s, {MAX_CHANNELS} channels, {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} Hz. "
        "Its name is not looked at."
    )
    text = {
        "type": "string",
        "maxLength": MAX_TEXT_CHARS,
        "description": "The words of the recording, or the text to be judged.",
    }
    forms = {
        "multipart/form-data": {"contentMediaType": "application/octet-stream", "description": sound},
        "application/json": {"contentEncoding": "base64", "description": f"{sound} In base64."},
    }
    content = {
        kind: {
            "schema": {
                "type": "object",
                "properties": {"audio": {"type": "string", **audio}, "text": text},
                "anyOf": [{"required": ["audio"]}, {"required": ["text"]}],
                "additionalProperties": False,
            }
        }
        for kind, audio in forms.items()
    }
    return {
        "summary": "Judge a recording, a text, or a recording with its words.",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _json("The answer.", _ref("Answer")), **_refusals(*REFUSALS)},
    }


def _get(summary: str, record: str) -> Schema:
    return {"summary": summary, "responses": {"200": _json(f"{record}.", _ref(record)), **_refusals(403)}}


def _refusals(*statuses: int) -> Schema:
    return {str(status): _json(REFUSALS.get(status, "There is none."), _ref("Error")) for status in statuses}


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(record: str) -> Schema:
    return {"$ref": f"#/components/schemas/{record}"}


def _record(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _or_null(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


def _per_class(classes: tuple[str, ...], schema: Schema) -> Schema:
    return _record(**dict.fromkeys(classes, schema))


def _schemas(classes: tuple[str, ...]) -> dict[str, Schema]:
    return {
        "Answer": _answer(classes),
        "Model": _model(classes),
        "Example": _record(
            number=WHOLE,
            title=TEXT,
            split={"enum": ["test", "validation"]},
            text=_or_null("string"),
            has_audio=TRUTH,
            votes=_per_class(classes, NUMBER),
            people=_per_class(classes, SHARE),
        ),
        "Health": _record(status={"const": "ok"}, inside=WHOLE, answered=WHOLE),
        "Error": _record(error={**TEXT, "description": "One line."}),
    }


def _answer(classes: tuple[str, ...]) -> Schema:
    return _record(
        top={"enum": [*classes, None], "description": "The class with the largest share."},
        distribution={
            "oneOf": [_per_class(classes, SHARE), {"type": "null"}],
            "description": "Estimated share of people per class; they sum to 1. Null if `unparsed` says why.",
        },
        entropy_bits=_or_null("number", minimum=0),
        class_mass=_or_null("number", description="The classes' share of the next-token probability."),
        response={**TEXT, "description": "What the model wrote before its answer."},
        reasoning=_or_null("string", description="The thoughts in it; null for a model that has none."),
        closed={**TRUTH, "description": "Whether the end of the response had to be appended."},
        unparsed=_or_null("string"),
        windows={**WHOLE, "description": "Parts in which a long recording was heard; 1 for others."},
        never_trained={"type": "array", "items": {"enum": list(classes)}},
        notes=NOTES,
        seen_in_training=_or_null(
            "string",
            description="That the model was trained on this, or that it is not known; null if it was not.",
        ),
    )


def _model(classes: tuple[str, ...]) -> Schema:
    names: Schema = {"type": "array", "items": {"enum": list(classes)}}
    return _record(
        name=TEXT,
        classes=names,
        never_trained=names,
        prompts=_record(sound=TEXT, text=TEXT),
        readout={"enum": ["logits", "verbalised", "sampled"]},
        reasons=TRUTH,
        samples=WHOLE,
        hears=TRUTH,
        window_s={**NUMBER, "description": "Longest recording that is heard at once."},
        notes=NOTES,
        limits=_record(
            upload_bytes=WHOLE, duration_s=NUMBER, text_characters=WHOLE, queue=WHOLE, timeout_s=NUMBER
        ),
        version=TEXT,
    )
