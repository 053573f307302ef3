"""The model card of an export: the run's own card, and how the weights beside it are loaded and asked."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lalm_ambig.exporting.parity import Probe
from lalm_ambig.files.atomic import write_text

Form = Literal["adapter", "merged"]
ASKED = "How to ask it"
"""The section of a run's card that speaks of the run's folder."""


def loading_lines(form: Form, model_class: str, *, base: str, address: str) -> list[str]:
    """Three lines of Python that load what was written."""
    if form == "adapter":
        return [
            "from peft import PeftModel",
            f"from transformers import {model_class}",
            f'model = PeftModel.from_pretrained({model_class}.from_pretrained("{base}"), "{address}")',
        ]
    return [
        f"from transformers import AutoTokenizer, {model_class}",
        f'model = {model_class}.from_pretrained("{address}")',
        f'tokenizer = AutoTokenizer.from_pretrained("{address}")',
    ]


def write_card(folder: Path, run_card: Path, *, name: str, base: str, sections: Sequence[str]) -> None:
    """Write `README.md`: the run's card without its own words on loading, or a short one where the run has none yet.

    Args:
        folder: Of the export.
        run_card: `README.md` that the run wrote at its end; it may be missing, or the empty one that PEFT writes.
        name: Of the run.
        base: Hub id or name of the base model.
        sections: What is added.
    """
    library = "peft" if (folder / "adapter_config.json").is_file() else "transformers"
    text = run_card.read_text(encoding="utf-8") if run_card.is_file() else ""
    if f"\n## {ASKED}\n" not in text:
        text = _short(name, base)
    text = re.sub(r"(?m)^library_name: .*$", f"library_name: {library}", text, count=1)
    text = re.sub(r"(?m)^base_model: .*$", lambda _: f"base_model: {base}", text, count=1)
    before, _, rest = text.partition(f"\n## {ASKED}\n")
    _, heading, behind = rest.partition("\n## ")
    added = "\n\n".join(sections)
    write_text(folder / "README.md", f"{before}\n{added}\n{heading}{behind}".rstrip("\n") + "\n")


def _short(name: str, base: str) -> str:
    return (
        f"---\nbase_model: {base}\nlibrary_name: peft\ntags:\n- label-distribution\nlicense: other\n---\n\n"
        f"# {name}\n\n{base}, trained to answer with the distribution of people's judgements, not with one label. Made "
        "with lalm_ambig from a checkpoint of a run that was not evaluated: nothing is known of how good it is.\n"
        f"\n## {ASKED}\n"
    )


def sections(lines: Sequence[str], probe: Probe, checked: str) -> list[str]:
    """How to load the weights, how to ask the model, and what was checked."""
    load = ["## How to load it", "", "```python", *lines, "```", "", checked]
    if probe.template is None:
        return ["\n".join(load)]
    where = "{audio} stands for the clip and {text} for the words; a line whose part is missing is left out."
    ask = [
        "## How to ask it",
        "",
        f"The prompt it was trained with. {where}",
        "",
        "```",
        probe.template,
        "```",
    ]
    if probe.names:
        listed = ", ".join(f"`{name}`" for name in probe.names)
        ask += [
            "",
            f"Its distribution is the softmax over the logits of {listed} behind `{probe.answer_open}`.",
        ]
    return ["\n".join(load), "\n".join(ask)]
