"""What the accelerator is to do, tried out: each probe returns what happened, in types that JSON has."""

import ctypes
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import linear

from pretend.device import NAME
from pretend.gathered import DeviceTensorPickled
from pretend.watch import Watch


def mixing(backend: Any) -> dict[str, bool]:
    """Which combinations of a CPU tensor with the device's are refused."""
    ours, theirs = torch.rand(4, 4, device=NAME), torch.rand(4, 4)
    chosen, index = torch.tensor([1, 0]), torch.tensor([1, 0], device=NAME)
    tries: dict[str, Callable[[], Any]] = {
        "sum with a matrix": lambda: ours + theirs,
        "product with a matrix": lambda: ours @ theirs,
        "matrices joined": lambda: torch.cat([ours, theirs]),
        "linear layer with weights on the CPU": lambda: linear(ours, theirs),
        "mask on the CPU": lambda: ours.masked_fill(theirs > 0.5, 0.0),
        "rows gathered by a CPU index": lambda: ours.index_select(0, chosen),
        "CPU tensor indexed by the device's": lambda: theirs[index],
        "convolution with weights on the CPU": lambda: torch.conv1d(ours[None], theirs[None, :, :2]),
        "written into a CPU tensor": lambda: torch.add(ours, ours, out=theirs),
        "sum with a number": lambda: ours + torch.tensor(1.0),
        "product with a number": lambda: torch.tensor(2.0) * ours,
        "indexed on the CPU": lambda: ours[chosen],
        "copied": lambda: ours.copy_(theirs),
    }
    with Watch(backend):
        return {name: _is_refused(attempt) for name, attempt in tries.items()}


def float64(backend: Any) -> dict[str, bool]:
    """Which ways to a tensor in float64 on the device are refused."""
    single, double = torch.rand(3, device=NAME), torch.rand(3, dtype=torch.float64)
    tries: dict[str, Callable[[], Any]] = {
        "converted": single.double,
        "copied": lambda: double.to(NAME),
        "made": lambda: torch.zeros(3, dtype=torch.float64, device=NAME),
        "summed": lambda: single.sum(dtype=torch.float64),
        "converted on the host": lambda: single.cpu().double(),
        "copied in float32": lambda: double.float().to(NAME),
    }
    with Watch(backend):
        return {name: _is_refused(attempt) for name, attempt in tries.items()}


def _is_refused(attempt: Callable[[], Any]) -> bool:
    try:
        attempt()
    except (RuntimeError, TypeError, DeviceTensorPickled) as error:
        if NAME not in str(error) and "device" not in str(error):
            raise
        return True
    return False


def counting(backend: Any) -> dict[str, dict[str, int]]:
    """Launches and copies of a few expressions."""
    matrix = torch.rand(8, 8, device=NAME)
    tries: dict[str, Callable[[], Any]] = {
        "product": lambda: matrix @ matrix,
        "view": lambda: matrix[2:].transpose(0, 1),
        "to the device": lambda: torch.ones(3).to(NAME),
        "to the host": matrix.cpu,
        "number": lambda: float(matrix[0, 0]),
        "list": matrix.tolist,
        "mask": lambda: matrix[matrix > 0.5],
        "nonzero": matrix.nonzero,
        "CPU index": lambda: matrix[torch.tensor([1])],
        "written at a mask": lambda: matrix.index_put_((matrix > 0.5,), matrix[0, 0]),
        "written at a CPU index": lambda: matrix.index_put_((torch.tensor([1]),), matrix[0, 0]),
    }
    found = {}
    for name, attempt in tries.items():
        with Watch(backend) as watch:
            attempt()
        found[name] = {kind: watch.counts[kind] for kind in ("launches", "to_device", "to_host")}
    return found


def memory(backend: Any) -> dict[str, int]:
    """Bytes at the peak while one tensor of 1 MB and then another is held; after that; and of what stays."""
    with Watch(backend) as watch:
        for _ in range(2):
            one = torch.empty(250_000, device=NAME)
            del one
    with Watch(backend) as both:
        kept = [torch.empty(250_000, device=NAME), torch.empty(125_000, device=NAME)]
    held = backend.counts()["held_bytes"]
    kept.clear()
    freed = held - backend.counts()["held_bytes"]
    return {"in turn": watch.counts["peak_bytes"], "at once": both.counts["peak_bytes"], "freed": freed}


def values(backend: Any) -> dict[str, float]:
    """Largest difference to the CPU of an output and of gradients; the widths under autocast; launches of it all."""
    before = backend.counts()["launches"]
    torch.manual_seed(0)
    layer, given = torch.nn.Linear(16, 16), torch.randn(4, 16)

    def computed(place: str) -> list[torch.Tensor]:
        moved = torch.nn.Linear(16, 16).to(place)
        moved.load_state_dict(layer.state_dict())
        out = torch.softmax(moved(given.to(place)), -1)
        out.square().sum().backward()
        return [t.cpu() for t in (out.detach(), moved.weight.grad, moved.bias.grad)]  # type: ignore[union-attr]

    both = zip(computed(NAME), computed("cpu"), strict=True)
    with torch.autocast(NAME, dtype=torch.bfloat16):
        ours = given.to(NAME)
        product = ours @ ours.T
        shares = torch.softmax(product, -1)
    return {
        "difference": max(float((ours - theirs).abs().max()) for ours, theirs in both),
        "bytes of a product under autocast": product.element_size(),
        "bytes of a softmax under autocast": shares.element_size(),
        "launches": backend.counts()["launches"] - before,
    }


def lines(backend: Any) -> list[str]:
    """Where the product waits for the device when it looks for the beginning that texts share."""
    from lalm_ambig.policies.attention.tree import common_prefix_length

    texts = [torch.ones(40, 2, device=NAME), torch.ones(30, 2, device=NAME)]
    with Watch(backend, kinds=("to_host",)) as watch:
        common_prefix_length(texts)
    return [place for _, _, place in watch.lines]


def placement(_: Any) -> dict[str, Any]:
    """Devices of a policy that was loaded onto the accelerator, after loading and after Lightning's loops."""
    from lalm_ambig.methods.sft import SFT
    from lalm_ambig.policies.tiny import Tiny

    policy = Tiny(audio_layers=[0])
    policy.load(f"{NAME}:0")
    method = SFT(policy)
    loaded = _kinds(policy)
    method.cpu()
    again = _kinds(policy)
    policy.reload()
    place = str(policy.device)
    return {"loaded": loaded, "after a loop": again, "reloaded": _kinds(policy), "policy": place}


def aside(backend: Any) -> dict[str, Any]:
    """Bytes that leave the device with a frozen encoder, of how many; and whether it hears the same when it is back."""
    from lalm_ambig.policies.tiny import Tiny
    from lalm_ambig.policies.weights.lora import Adapter, parameter_counts

    policy = Tiny(adapter=Adapter())
    policy.load(f"{NAME}:0")
    frames = [policy.log_mel(torch.sin(torch.arange(16_000) / 9.0))]
    heard, weights = policy.encode_audio(frames)[0].cpu(), sum(p.nbytes for p in policy.tower.parameters())
    counts, held = parameter_counts(policy), backend.counts()["held_bytes"]
    policy.set_tower_aside()
    policy.train()
    left, counted = held - backend.counts()["held_bytes"], parameter_counts(policy) == counts
    again = policy.encode_audio(frames)[0]
    return {
        "share that left": left / weights,
        "counted": counted,
        "came back": str(again.device),
        "difference": float((again.cpu() - heard).abs().max()),
        "in training mode": policy.tower.training,
    }


def packing(backend: Any) -> dict[str, float]:
    """Peak of the device's memory while a text model is read and packed, as a share of its plain weights."""
    from small_checkpoints import write_causal_lm

    from lalm_ambig.policies.causal_lm import CausalLM

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        write_causal_lm(Path(folder), "llama", hidden_size=256, intermediate_size=1024, num_hidden_layers=12)
        plain = CausalLM(folder)
        plain.load()
        weights = sum(p.nbytes for p in plain.base.parameters())
        for kind in ("nf4", "int8"):
            with Watch(backend) as watch:
                policy = CausalLM(folder, quantize=kind)  # type: ignore[arg-type]
                policy.load(f"{NAME}:0")
            assert _kinds(policy) == [NAME]
            found[kind] = watch.counts["peak_bytes"] / weights
            del policy
    return found


def _kinds(policy: Any) -> list[str]:
    return sorted({t.device.type for t in (*policy.parameters(), *policy.buffers())})


def host_memory(backend: Any) -> dict[str, float]:
    """Peak of the host's own memory while a model is read onto the device in another type, and what bounds it.

    The device's memory is the host's here, and is subtracted. Pages of the files are not counted: they can be dropped.
    """
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    from lalm_ambig.policies.weights.checkpoint import read_model

    config = LlamaConfig(
        hidden_size=256, intermediate_size=1024, num_hidden_layers=16, num_attention_heads=4, vocab_size=512
    )
    with tempfile.TemporaryDirectory() as folder:
        LlamaForCausalLM(config).save_pretrained(folder, max_shard_size="16MB")
        shards = [file.stat().st_size for file in Path(folder).glob("*.safetensors")]
        held = backend.counts()["held_bytes"]
        with _peak_of_own_memory() as peak:
            model = read_model(AutoModelForCausalLM, folder, dtype=torch.bfloat16, device=f"{NAME}:0")
        held = backend.counts()["held_bytes"] - held
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return {
        "beyond": peak[0] - held,
        "shard": max(shards),
        "shards": len(shards),
        "held": held,
        "weights": weights,
    }


@contextmanager
def _peak_of_own_memory() -> Iterator[list[int]]:
    """Inside, the first entry rises to the largest growth of memory that no file backs, in bytes."""

    def now() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])

    ctypes.CDLL(None).malloc_trim(0)  # what was freed before would be taken again
    before, peak, ended = now(), [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.002):
            peak[0] = max(peak[0], now() - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def gathering(_: Any) -> dict[str, bool]:
    """Which values are refused as objects for other processes."""
    from lalm_ambig.core import distributed

    ours, theirs = torch.rand(3, device=NAME), torch.rand(3)
    values: dict[str, Any] = {
        "device": ours,
        "device, deep inside": {"a": [(1, ours)]},
        "CPU": {"a": [(1, theirs)]},
        "plain": [1, "a", None],
    }
    sent = {name: lambda value=value: distributed.all_gather_object(value) for name, value in values.items()}
    sent["device, by the first process"] = lambda: distributed.on_rank_zero(lambda: ours)
    return {name: _is_refused(send) for name, send in sent.items()}


PROBES = {
    probe.__name__: probe
    for probe in (
        mixing,
        float64,
        counting,
        memory,
        values,
        lines,
        placement,
        aside,
        packing,
        host_memory,
        gathering,
    )
}
