"""The three pages of this project as pictures: `python docs/figures/screenshots.py runs/demo`, of a tested demo run.

Writes `page_report.png`, `page_review.png` and `page_serve.png` here. Needs Chromium and the package playwright.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from lalm_ambig.corpora.base import open_corpus

HERE = Path(__file__).parent
SIZE = {"width": 1120, "height": 760}
COMMAND = [sys.executable, "-m", "lalm_ambig"]


def main() -> None:
    """Draw all three."""
    run = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        _report(browser, run, Path(folder))
        _review(browser, Path(folder))
        _serve(browser, run)


def _report(browser: Browser, run: Path, folder: Path) -> None:
    _run("report", str(run), "--out", str(folder / "report"))
    page = browser.new_page(viewport=SIZE)
    page.goto((folder / "report/report.html").as_uri())
    _save(page, "page_report.png")


def _review(browser: Browser, folder: Path) -> None:
    texts, out = str(folder / "rationales.jsonl"), str(folder / "review")
    _run("curate", "write", "--corpus", "demo", "--writer", "acoustic", "--limit", "40", "--out", texts)
    root = str(open_corpus("demo", None).root)
    _run("curate", "review", texts, "--root", root, "--out", out)
    page = browser.new_page(viewport=SIZE)
    page.goto((Path(out) / "index.html").as_uri())
    _save(page, "page_review.png")


def _serve(browser: Browser, run: Path) -> None:
    with _server(run) as address:
        page = browser.new_page(viewport=SIZE)
        page.goto(address)
        page.locator("#example-list button").nth(0).click()
        page.wait_for_selector("#rows tr")
        page.wait_for_selector("#ask:enabled")
        _save(page, "page_serve.png")


@contextmanager
def _server(run: Path) -> Iterator[str]:
    """The address of a server for the run, which ends with the block."""
    command = [*COMMAND, "serve", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        words = (word for line in server.stdout for word in line.split())
        try:
            yield next(word for word in words if word.startswith("http://"))
        finally:
            server.terminate()


def _run(*words: str) -> None:
    subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.DEVNULL)


def _save(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=HERE / name)
    print(HERE / name)


if __name__ == "__main__":
    main()
