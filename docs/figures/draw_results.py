"""The two figures of the README, from the numbers on the results pages: `python docs/figures/draw_results.py`.

`results_crema_d.png` is read from tables of docs/results and shows what works; `results_reasoning.png` is read from
docs/results/demo/demo.json and shows a limit. Needs the extra `figures`.
"""

import json
import re
from pathlib import Path

from matplotlib import pyplot
from matplotlib.axes import Axes

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
BLUE, ORANGE, GREY, GREEN = "#0072b2", "#d55e00", "#8a8f98", "#009e73"


def main() -> None:
    """Draw both."""
    pyplot.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    _crema_d()
    _reasoning()


def _crema_d() -> None:
    """KL-only with the last layer and with all, by seed, beside prior, probes and a second panel."""
    page = (RESULTS / "hearing.md").read_text(encoding="utf-8")
    rows = {
        "KL-only, all encoder layers": (_seeds(page, "all seven layers"), BLUE),
        "KL-only, last layer": (_seeds(page, "last layer"), BLUE),
        "linear probe, all layers": ([_number(page, "all seven joined")], GREY),
        "linear probe, last layer": ([_number(page, "last, which the model passes on")], GREY),
    }
    axes = pyplot.figure(figsize=(7.4, 2.9)).subplots()
    for at, (values, colour) in enumerate(reversed(rows.values())):
        axes.plot(values, [at] * len(values), "o", color=colour, markersize=8)
    axes.set_yticks(range(len(rows)), list(reversed(rows)))
    prior = _number((RESULTS / "one_seed.md").read_text(encoding="utf-8"), "prior")
    panel = _number(page, "*a second panel of listeners*")
    _lines(axes, {"second panel": (panel, GREEN), "prior": (prior, ORANGE)}, top=len(rows))
    axes.set_xlim(0.12, 0.32)
    _finish(axes, "CREMA-D, 300 clips of 10 unseen actors, 184 M parameters", "results_crema_d.png")


def _reasoning() -> None:
    """On the demo: each method in the papers' form, and learning after its own reasoning, with its interval."""
    study = json.loads((RESULTS / "demo" / "demo.json").read_text(encoding="utf-8"))
    rows = {row["label"]: row for row in study["rows"]}
    shown = {
        "KL-only, answers at once": ("KL-only, no reasoning", GREY),
        "KL-only, more updates": ("KL-only, as many updates as the longest", GREY),
        "SFT, papers' form": ("SFT CoT (paper)", ORANGE),
        "SFT, own reasoning": ("SFT CoT + on-policy KL", BLUE),
        "DPO, papers' form": ("DPO (paper)", ORANGE),
        "DPO, own reasoning": ("DPO (ours)", BLUE),
        "GRPO, papers' form": ("GRPO (paper)", ORANGE),
        "GRPO, own reasoning": ("GRPO (ours)", BLUE),
        "hear first, then reason": ("hear first, then reason", BLUE),
    }
    axes = pyplot.figure(figsize=(7.4, 4.2)).subplots()
    for at, (method, colour) in enumerate(reversed(shown.values())):
        interval = rows[method]["interval"]
        axes.plot([interval["low"], interval["high"]], [at, at], color=colour, linewidth=2, alpha=0.55)
        axes.plot([interval["value"]], [at], "o", color=colour, markersize=8)
    axes.set_yticks(range(len(shown)), list(reversed(shown)))
    panel = study["references"]["panel"]["js_div_bits"]["value"]
    _lines(axes, {"second panel": (panel, GREEN)}, top=len(shown))
    _finish(axes, "Demo corpus, 168 clips of 8 unseen speakers, 3 seeds", "results_reasoning.png")


def _seeds(page: str, hears: str) -> list[float]:
    """The test values of seeds 0, 1 and 2 in the rows that begin with what the model hears."""
    begin = page.index(f"| {hears} | 0 |")
    rows = page[begin:].splitlines()[:3]
    return [float(row.split("|")[4].split()[0]) for row in rows]


def _number(page: str, name: str) -> float:
    """The first number behind a row's name, bold or not."""
    found = re.search(rf"^\| {re.escape(name)} \| \**([\d.]+)", page, flags=re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def _lines(axes: Axes, lines: dict[str, tuple[float, str]], *, top: int) -> None:
    for name, (value, colour) in lines.items():
        axes.axvline(value, color=colour, linestyle="--", linewidth=1.6)
        axes.text(value, top - 0.42, f" {name}, {value:.3f}", color=colour, va="bottom", fontsize=10)


def _finish(axes: Axes, title: str, name: str) -> None:
    axes.set_ylim(-0.6, axes.get_ylim()[1] + 0.5)
    axes.set_title(title, fontsize=11.5, loc="left", pad=16)
    axes.set_xlabel("JS divergence from people's distribution, bits (lower is better)")
    axes.grid(axis="x", color="#e3e6ea")
    axes.set_axisbelow(True)
    axes.figure.tight_layout()
    axes.figure.savefig(HERE / name, dpi=110)
    print(HERE / name)


if __name__ == "__main__":
    main()
