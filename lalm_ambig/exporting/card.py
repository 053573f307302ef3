"""The model card of an export: the run's card, with sections on how to load the weights and ask the model."""

import re
from collections.abc import Sequence
from pathlib import Path

from lalm_ambig.core.types import ExportForm
from lalm_ambig.exporting.parity import ParityProbe
from lalm_ambig.files.atomic import write_text
from lalm_ambig.policies.audio.side_path import saved_layers
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.quantised_base import Quantize

ASK_HEADING = "How to ask it"
"""Heading of the section in a run's card that is about the run's folder."""


NF4 = ', quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")'
"""Argument by which transformers makes the base that an adapter was trained beside."""
PACKED = "# trained beside {} weights, which this package makes alone: on the plain base it answers a little otherwise"


def loading_lines(  # noqa: PLR0913  # one for each thing that the lines name
    form: ExportForm,
    model_class: str,
    *,
    base: str,
    address: str,
    quantize: Quantize | None = None,
    own_lora: str | None = None,
) -> list[str]:
    """Python lines that load the export.

    Args:
        form: Adapter or merged model.
        model_class: Class of transformers.
        base: Hub id or path of the base model.
        address: Hub id or path of the export.
        quantize: Kind of the base's weights beside which an adapter was trained.
        own_lora: Folder inside the base's checkpoint of LoRA of its own, which comes before an adapter.
    """
    if form == "adapter":
        packs, packed = ("BitsAndBytesConfig, ", NF4) if quantize == "nf4" and own_lora is None else ("", "")
        made = f'{model_class}.from_pretrained("{base}"{packed})'
        if own_lora is not None:
            made = _with_own_lora(model_class, base, own_lora)
        return [
            *([PACKED.format(quantize)] if quantize and not packed else []),
            "from peft import PeftModel",
            f"from transformers import {packs}{model_class}",
            f'model = PeftModel.from_pretrained({made}, "{address}")',
        ]
    return [
        f"from transformers import AutoTokenizer, {model_class}",
        f'model = {model_class}.from_pretrained("{address}")',
        f'tokenizer = AutoTokenizer.from_pretrained("{address}")',
    ]


def _with_own_lora(model_class: str, base: str, folder: str) -> str:
    """Python for the base model with its checkpoint's own LoRA in its weights, where it was trained."""
    if folder:
        own = f'{model_class}.from_pretrained("{base}"), "{base}", subfolder="{folder}"'
        return f"PeftModel.from_pretrained({own}).merge_and_unload()"
    # transformers would put an adapter beside the weights into the model, under the name that PEFT gives the next one
    plain = f'{model_class}.from_pretrained("{base}", adapter_kwargs={{"subfolder": "none"}})'
    return f'PeftModel.from_pretrained({plain}, "{base}").merge_and_unload()'


def side_path_lines(policy: Policy, *, base: str, address: str) -> list[str]:
    """Python lines that load an adapter with a side path by this package.

    Args:
        policy: The policy that it belongs to.
        base: Hub id or path of the base model.
        address: Path of the export.
    """
    kind, adapter = type(policy), policy.adapter
    trained = ("rank", "alpha", "projector", "audio_tower")
    settings = ", ".join(f"{name}={vars(adapter)[name]!r}" for name in trained)
    path = f"seed={policy.seed}, " if isinstance(policy, Tiny) else f'"{base}", '
    return [
        "from pathlib import Path",
        f"from {kind.__module__} import {kind.__name__}",
        "from lalm_ambig.policies.weights.lora import Adapter",
        f"policy = {kind.__name__}({path}adapter=Adapter({settings}), audio_layers={list(policy.side_layers)})",
        "policy.load()",
        f'policy.load_weights(Path("{address}"))',
    ]


def asking_section(address: str, base: str | None) -> str:
    """Section of the card on how this package asks the export.

    Args:
        address: Hub id or path of the export.
        base: Hub id or name of the base model, for an adapter; None for a merged model.
    """
    ways = [
        "## With lalm_ambig",
        "",
        "```python",
        "from lalm_ambig import load",
        f'model = load("{address}")',
        'print(model.predict("clip.wav", text="It is eleven o\'clock.").distribution)',
        "```",
        "",
        f"Many at once: `lalm-ambig predict clips/ --run {address} --out answers.csv`.",
    ]
    if base is not None:
        ways += [
            "",
            f"It needs the base model {base}: another place of it is given as `policy_path` (`--policy.path`).",
        ]
    return "\n".join(ways)


def write_card(  # noqa: PLR0913  # what a card is made of
    folder: Path,
    run_card: Path,
    *,
    name: str,
    base: str,
    sections: Sequence[str],
    results: str | None = None,
) -> None:
    """Write `README.md`: the run's card with its section on loading replaced, or a short card where the run has none.

    Args:
        folder: Folder of the export.
        run_card: `README.md` that the run wrote at its end. It may be missing, or the empty one that PEFT writes.
        name: Name of the run.
        base: Hub id or name of the base model.
        sections: Sections that are added.
        results: The results as YAML lines of the card's head; None without any.
    """
    library = "peft" if (folder / "adapter_config.json").is_file() else "transformers"
    if saved_layers(folder):
        library = "lalm_ambig"
    text = run_card.read_text(encoding="utf-8") if run_card.is_file() else ""
    if f"\n## {ASK_HEADING}\n" not in text:
        text = _short(name, base)
    text = re.sub(r"(?m)^library_name: .*$", f"library_name: {library}", text, count=1)
    text = re.sub(r"(?m)^base_model: .*$", lambda _: f"base_model: {base}", text, count=1)
    if results is not None:
        head, _, body = text.removeprefix("---\n").partition("\n---\n")
        text = f"---\n{head}\n{results.rstrip()}\n---\n{body}"
    before, _, rest = text.partition(f"\n## {ASK_HEADING}\n")
    _, heading, after = rest.partition("\n## ")
    added = "\n\n".join(sections)
    write_text(folder / "README.md", f"{before}\n{added}\n{heading}{after}".rstrip("\n") + "\n")


def _short(name: str, base: str) -> str:
    return (
        f"---\nbase_model: {base}\nlibrary_name: peft\ntags:\n- label-distribution\nlicense: other\n---\n\n"
        f"# {name}\n\n{base}, trained to answer with the distribution of people's judgements, not with one label. Made "
        "with lalm_ambig from a checkpoint of a run that was not evaluated: nothing is known of how good it is.\n"
        f"\n## {ASK_HEADING}\n"
    )


def sections(lines: Sequence[str], probe: ParityProbe, checked: str) -> list[str]:
    """Sections of the card: how to load the weights, the result of the comparison, and how to ask the model."""
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
