"""The page in a real browser, headless: `make browser`. Screenshots are left in build/browser, to be looked at.

It needs Chromium (the path in CHROMIUM, or `chromium` on the path) and the Python package playwright.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import sound_file, tone
from live import Live, tiny_model
from small_checkpoints import write_causal_lm

from lalm_ambig.core.types import Item
from lalm_ambig.inference.model import Model
from lalm_ambig.inference.questions import Question
from lalm_ambig.serving.app import Service
from lalm_ambig.serving.examples import Example
from lalm_ambig.serving.limits import Limits

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
BROWSER = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = Path(__file__).parents[2] / "build" / "browser"
SIZES = {"wide": 1280, "narrow": 400}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: make browser installs it"
    )
    SHOTS.mkdir(parents=True, exist_ok=True)
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def server(thinking_model: Model, items: tuple[Item, ...]) -> Iterator[Live]:
    examples = [
        Example(
            item.id,
            "test",
            dict(zip(thinking_model.classes, item.votes, strict=True)),
            Question(item.id, audio=Path(item.audio or ""), text=item.text),
        )
        for item in items
    ]
    with Live(
        Service(thinking_model, Limits(upload_bytes=1024 * 1024, duration_s=10.0), examples=examples)
    ) as live:
        yield live


class Page:
    """A page in a context of its own, which writes down what the browser asks for and what goes wrong in it."""

    def __init__(self, browser: Any, server: Live, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(WAIT_MS)
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.tab.goto(f"http://127.0.0.1:{server.port}/")
        self.tab.wait_for_load_state("networkidle")

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def answered(self) -> dict[str, float]:
        """Width of each class's bar in percent, once the model has answered."""
        self.tab.wait_for_selector("#ask:enabled")
        self.tab.wait_for_selector("#rows tr")
        rows = self.tab.locator("#rows tr")
        return {
            rows.nth(n).locator("th").inner_text().split("\n")[0]: float(
                rows.nth(n).locator("rect.model").get_attribute("width")
            )
            for n in range(rows.count())
        }

    def refused(self) -> str:
        """The line of a refusal."""
        self.tab.wait_for_selector("#error:not([hidden])")
        return str(self.tab.locator("#error").inner_text())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_user_asks_with_text_a_clip_and_an_example(
    browser: Any, server: Live, tmp_path: Path, size: str, scheme: str
) -> None:
    (tmp_path / "a clip.wav").write_bytes(sound_file(tone(0.5)))
    (tmp_path / "letter.wav").write_text("Dear server,\nthis is no sound.\n")
    with Page(browser, server, viewport={"width": SIZES[size], "height": 900}, color_scheme=scheme) as page:
        tab = page.tab

        def shot(name: str) -> None:
            tab.screenshot(path=SHOTS / f"{name}-{size}-{scheme}.png", full_page=True)
            over = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert over <= 0, f"{name}: {over} pixels wider than the window"

        shot("start")
        tab.fill("#text", "<b>It</b> is eleven o'clock.")
        tab.click("#ask")
        by_text = page.answered()
        expected = server.post(text="<b>It</b> is eleven o'clock.").json
        assert by_text == pytest.approx({k: 100 * v for k, v in expected["distribution"].items()}, abs=1e-3)
        assert "<b>It</b>" in tab.locator("#subject").inner_text()
        assert tab.locator("#reasoning").inner_text().strip() == expected["reasoning"].strip()
        shot("text")
        tab.set_input_files("#file", tmp_path / "a clip.wav")
        assert tab.locator("#clip-name").inner_text() == "a clip.wav"
        tab.click("#ask")
        tab.locator("#subject", has_text="a clip.wav").wait_for()
        assert page.answered() != by_text
        shot("clip")
        tab.locator("#example-list button").nth(0).click()
        tab.wait_for_selector("#legend:not([hidden])")
        assert "anger 3, fear 1, neutral 6" in tab.locator("#facts").inner_text()
        shot("example")
        assert page.errors == []
        tab.set_input_files("#file", tmp_path / "letter.wav")
        tab.click("#ask")
        assert page.refused() == "The sound cannot be used: text instead of sound."
        shot("refused")
        assert {url.split("/")[2] for url in page.asked if not url.startswith(("blob:", "data:"))} == {
            f"127.0.0.1:{server.port}"
        }


def test_a_user_records(browser: Any, server: Live) -> None:
    with Page(browser, server, permissions=["microphone"]) as page:
        page.tab.click("#record")
        page.tab.locator("#record", has_text=re.compile(r"Stop .[12] s")).wait_for()
        page.tab.click("#record")
        page.tab.wait_for_selector("#clip:not([hidden])")
        assert page.tab.locator("#clip-name").inner_text().startswith("Recording, ")
        page.tab.click("#ask")
        assert sum(page.answered().values()) == pytest.approx(100, abs=1e-2)
        assert page.errors == []


def test_a_user_without_a_mouse_asks(browser: Any, server: Live) -> None:
    with Page(browser, server) as page:
        keys, reached = page.tab.keyboard, []
        for _ in range(8):
            keys.press("Tab")
            reached.append(page.tab.evaluate("document.activeElement.id || document.activeElement.innerText"))
            if reached[-1] == "text":
                break
        assert reached == ["To the answer", "file", "record", "text"]
        keys.type("It is cold.")
        keys.press("Control+Enter")
        assert len(page.answered()) == 6
        keys.press("Tab")
        assert page.tab.evaluate("document.activeElement.id") == "ask"
        page.tab.fill("#text", "")
        page.tab.focus("#ask")
        keys.press("Enter")
        assert page.refused() == "Choose or record a clip, or type a text, first."
        assert page.tab.get_by_role("alert").count() == 1
        page.tab.locator("#example-list button").nth(1).focus()
        keys.press("Enter")
        page.tab.wait_for_selector("#legend:not([hidden])")
        assert page.tab.get_by_role("status").inner_text().endswith("%.")


def test_a_user_drops_a_clip_and_takes_it_away(browser: Any, server: Live) -> None:
    with Page(browser, server) as page:
        for size, name in ((1000, "a.wav"), (2_000_000, "large.wav")):
            data = page.tab.evaluate_handle(
                "([size, name]) => { const data = new DataTransfer();"
                " data.items.add(new File([new Uint8Array(size)], name)); return data; }",
                [size, name],
            )
            page.tab.dispatch_event("#drop", "drop", {"dataTransfer": data})
        assert page.refused() == "The file has 1.9 MB: at most 1.0 MB are taken."
        assert page.tab.locator("#clip-name").inner_text() == "a.wav"
        page.tab.click("#remove")
        assert page.tab.locator("#clip").is_hidden()


def test_a_server_that_is_gone_is_said(browser: Any, small_model: Model) -> None:
    example = Example("i", "test", dict.fromkeys(small_model.classes, 1.0), Question("i", text="It is cold."))
    with Live(Service(small_model, Limits(), examples=[example])) as server:
        page = Page(browser, server)
    with page:
        page.tab.fill("#text", "a")
        page.tab.click("#ask")
        assert page.refused() == "The server does not answer. Is it still running?"


def test_a_response_that_cannot_be_read_is_shown_without_bars(browser: Any, cache_home: Path) -> None:
    model = tiny_model(cache_home, readout="verbalised", max_new_tokens=4)
    with Live(Service(model, Limits())) as server, Page(browser, server) as page:
        assert page.tab.locator("#examples").is_hidden()
        page.tab.fill("#text", "It is cold.")
        page.tab.click("#ask")
        page.tab.wait_for_selector("#result:not([hidden])")
        assert (
            page.tab.get_by_role("status")
            .inner_text()
            .startswith("No distribution can be read from the response: ")
        )
        assert page.tab.locator("#bars").is_hidden() and page.tab.locator("#reasoning").is_visible()
        page.tab.screenshot(path=SHOTS / "unread.png", full_page=True)
        assert page.errors == []


def test_a_model_of_texts_has_no_place_for_sound(browser: Any, cache_home: Path, tmp_path: Path) -> None:
    folder = write_causal_lm(tmp_path / "base", "llama")
    model = tiny_model(cache_home, kind="causal_lm", policy_path=str(folder))
    with Live(Service(model, Limits())) as server, Page(browser, server) as page:
        assert page.tab.locator("#sound").is_hidden()
        page.tab.click("#ask")
        assert page.refused() == "Type a text first."
        page.tab.fill("#text", "It is cold.")
        page.tab.click("#ask")
        assert len(page.answered()) == 6
        page.tab.screenshot(path=SHOTS / "texts.png", full_page=True)
