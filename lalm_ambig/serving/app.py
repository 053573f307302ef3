"""The server: its addresses, and the way of a request from its first byte to the answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from aiohttp import web

from lalm_ambig.core.errors import InputError
from lalm_ambig.inference.answer import Answer
from lalm_ambig.inference.identity import Seen
from lalm_ambig.inference.model import Model
from lalm_ambig.inference.questions import Question
from lalm_ambig.serving.decoding import Decoders
from lalm_ambig.serving.examples import Example
from lalm_ambig.serving.form import Form, read_form
from lalm_ambig.serving.guard import add_headers, guard
from lalm_ambig.serving.limits import Admission, Limits, Place, Refusal
from lalm_ambig.serving.schema import answer_record, model_record, openapi, without_options
from lalm_ambig.serving.worker import Worker

PAGE = Path(__file__).parent / "page"
PAGE_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
"""Address → file of the page and its type. They are read once; no other file is ever served."""


class Service:
    """One model behind an HTTP interface, and perhaps a page."""

    def __init__(
        self, model: Model, limits: Limits, *, examples: Sequence[Example] = (), has_page: bool = True
    ) -> None:
        """Args:
        model: The model, which this server alone asks.
        limits: What is taken.
        examples: Items that the page shows.
        has_page: Whether there is a page.
        """
        self.model, self.limits, self.examples, self.has_page = model, limits, examples, has_page
        self.seen = Seen.by(model)
        self.worker = Worker(self._ask)
        self.admission = Admission(limits)
        self._decoders: Decoders | None = None

    def app(self, hosts: frozenset[str] | None) -> web.Application:
        """The application, for one event loop. The worker starts and stops with whoever made the service.

        Args:
            hosts: Names by which requests may call the server; None for any.
        """
        app = web.Application(middlewares=[guard(hosts)])
        app.on_response_prepare.append(add_headers)
        app.cleanup_ctx.append(self._with_decoders)
        app.router.add_post("/v1/predict", self._predict)
        app.router.add_get("/v1/model", self._describe)
        app.router.add_get("/health", self._health)
        app.router.add_get("/openapi.json", self._schema)
        if self.has_page:
            app.router.add_get("/v1/examples", self._list_examples)
            app.router.add_get(r"/v1/examples/{number:[0-9]{1,3}}/audio", self._example_audio)
            app.router.add_post(r"/v1/examples/{number:[0-9]{1,3}}/predict", self._example_answer)
            for address, (name, kind) in PAGE_FILES.items():
                app.router.add_get(address, _constant((PAGE / name).read_text(encoding="utf-8"), kind))
        return app

    async def _with_decoders(self, _: web.Application) -> AsyncIterator[None]:
        self._decoders = Decoders(self.limits)
        yield
        self._decoders.close()

    def _ask(self, questions: Sequence[Question]) -> list[Answer | InputError]:
        return [answer for _, answer in self.model.answers(questions)]

    async def _predict(self, request: web.Request) -> web.Response:
        with self._place() as place:
            form = await read_form(request, place, self.limits)
            question = await self._question(form, place)
            del form
            return await self._answered(question)

    async def _answered(self, question: Question) -> web.Response:
        answer = await self._answer(question)
        told = await asyncio.to_thread(self.seen.told, question)
        return web.json_response(answer_record(answer, seen_in_training=told))

    async def _question(self, form: Form, place: Place) -> Question:
        if form.audio is None:
            return Question("input", text=form.text)
        if not self.model.window_s:
            raise Refusal(422, "this model reads texts and hears nothing: give a text alone.")
        assert self._decoders is not None
        sound = await self._decoders.decode(form.audio)
        place.hold(sound.samples.nbytes)
        return Question("input", samples=sound.samples, rate_hz=sound.rate_hz, text=form.text)

    async def _answer(self, question: Question) -> Answer:
        answer = asyncio.wrap_future(self.worker.submit(question))
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                return await answer
        except TimeoutError:
            what = f"no answer within {self.limits.timeout_s:g} s: try again later."
            raise Refusal(503, what, retry_after_s=self._retry_after_s()) from None
        except InputError as error:
            line = str(error).removeprefix("predict: ").removeprefix(f"{question.id}: ")
            raise Refusal(422, without_options(line)) from error

    def _place(self) -> Place:
        return self.admission.enter(retry_after_s=self._retry_after_s())

    def _retry_after_s(self) -> float:
        """Seconds in which those that wait are answered."""
        return min(60.0, self.worker.seconds_each * (1 + self.worker.waiting))

    async def _describe(self, _: web.Request) -> web.Response:
        return web.json_response(model_record(self.model, self.limits))

    async def _health(self, _: web.Request) -> web.Response:
        inside = self.admission.requests
        return web.json_response({"status": "ok", "inside": inside, "answered": self.worker.answered})

    async def _schema(self, _: web.Request) -> web.Response:
        return web.json_response(openapi(self.model.classes, self.limits, has_page=self.has_page))

    async def _list_examples(self, _: web.Request) -> web.Response:
        return web.json_response([example.record(number) for number, example in enumerate(self.examples)])

    async def _example_audio(self, request: web.Request) -> web.Response:
        example = self._example(request)
        if example.clip is None:
            raise web.HTTPNotFound
        with contextlib.suppress(OSError):
            content = await asyncio.to_thread(example.clip.read_bytes)
            return web.Response(body=content, content_type=example.content_type)
        raise Refusal(404, "the clip is gone.")

    async def _example_answer(self, request: web.Request) -> web.Response:
        example = self._example(request)
        with self._place():
            return await self._answered(example.question)

    def _example(self, request: web.Request) -> Example:
        number = int(request.match_info["number"])
        if number >= len(self.examples):
            raise web.HTTPNotFound
        return self.examples[number]


def _constant(content: str, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=content, content_type=kind)

    return answer
