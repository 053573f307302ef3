"""LoRA beside a base of four and of eight bits: losses beside the plain base, and the time of a product."""

import combinations
import torch
from product.commands import fit, losses
from product.decoding import packed_layer

from check.runner import Stage
from check.small import fit_words

KINDS = ("nf4", "int8")
WIDTH = {"full": 4096, "toy": 128}
REPEATS = 50


def run(stage: Stage) -> None:
    inputs = combinations.write_small_inputs(stage.options.out / "small")
    for kind in (None, *KINDS):
        what = f"sft beside {kind or 'the plain'} base"
        with stage.facts.attempt(what):
            words = fit_words(stage, "text", "sft", inputs, name=f"base-{kind}")
            run_folder = fit([*words, *([] if kind is None else [f"--policy.quantize={kind}"])])
            stage.facts.note(what, "ran", losses=[round(loss, 4) for loss in losses(run_folder)])
    for kind in (None, *KINDS):
        what = f"a product with {kind or 'plain'} weights"
        with stage.facts.attempt(what), torch.inference_mode():
            layer, inputs_ = packed_layer(kind, WIDTH[stage.options.size], device=stage.device.name)

            def products(layer: torch.nn.Module = layer, given: torch.Tensor = inputs_) -> None:
                for _ in range(REPEATS):
                    layer(given)

            products()
            each_ms = 1000 * stage.device.seconds(products) / REPEATS
            stage.facts.note(what, f"{each_ms:.3f} ms", width=WIDTH[stage.options.size])
