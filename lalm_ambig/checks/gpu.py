"""Checks of the GPUs that torch sees: driver, memory, number formats, attention, NCCL between them, and DeepSpeed."""

import importlib
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from lalm_ambig.checks.all_reduce import check_all_reduce
from lalm_ambig.checks.outcome import CheckResult, check_result, error_line
from lalm_ambig.config.precision import BF16_REMEDY, lacks_bf16
from lalm_ambig.core.installation import install_extra

GIB = 2**30
LEAST_FREE = 0.8
"""Smallest share of a card's memory that is free where nobody else computes on it."""
ANSWERS_S = 20
"""Longest time that nvidia-smi and the like may take, in seconds."""


def check_gpus() -> Iterator[CheckResult]:
    """Check every GPU that torch sees; nothing on a machine without one, of which `devices` tells."""
    if not torch.cuda.is_available():
        return
    count = torch.cuda.device_count()
    yield _driver()
    for number in range(count):
        yield _card(number)
        yield _bf16(number)
    yield _flash()
    yield _float32_products()
    if count > 1:
        yield check_all_reduce(count, backend="nccl")
    yield _deepspeed()


def _driver() -> CheckResult:
    """The driver's version beside that of torch's build; HIP's of an AMD card."""
    build = f"torch {torch.__version__} for " + (
        f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
    )
    asked = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    if torch.version.cuda is None or shutil.which(asked[0]) is None:
        return CheckResult("driver", True, f"{build}; the driver's version is not known here")
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=ANSWERS_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return CheckResult(
            "driver", False, f"{build}; nvidia-smi fails: {error_line(error)}", "reload the driver or reboot"
        )
    versions = ", ".join(dict.fromkeys(done.stdout.split()))
    return CheckResult("driver", True, f"{build}, driver {versions}")


def _card(number: int) -> CheckResult:
    """Whether torch's build computes on the card, and how much of its memory is free."""
    about = torch.cuda.get_device_properties(number)
    name = f"GPU {number}"
    what = f"{about.name}, compute capability {about.major}.{about.minor}, {about.total_memory / GIB:.1f} GiB"
    try:
        _compute_on(number)
        free, total = torch.cuda.mem_get_info(number)
    except RuntimeError as error:
        return CheckResult(
            name,
            False,
            f"{what}: {error_line(error)}",
            f"a torch for this card (this one is for {', '.join(torch.cuda.get_arch_list())}; pytorch.org/get-started "
            "has the line); or another process has filled it: nvidia-smi lists them",
        )
    return check_result(
        name,
        free >= LEAST_FREE * total,
        f"{what}, {free / GIB:.1f} GiB free",
        remedy="another process holds its memory: nvidia-smi lists them; or choose another card: CUDA_VISIBLE_DEVICES",
    )


def _compute_on(number: int) -> None:
    """Run a kernel; RuntimeError where torch's build has none for the card."""
    torch.ones(2, device=f"cuda:{number}").sum().item()


def _bf16(number: int) -> CheckResult:
    """Whether the card computes in bf16. A run in float32 or float16 needs none, so its lack is no failure."""
    lack = lacks_bf16(number)
    return CheckResult(f"bf16 on GPU {number}", True, "yes" if lack is None else f"{lack}. {BF16_REMEDY}")


def _flash() -> CheckResult:
    """Whether flash attention runs forward and backward; torch takes a slower way by itself where it does not."""
    rows = torch.randn(1, 2, 64, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    try:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            out = scaled_dot_product_attention(rows, rows, rows, is_causal=True)
            torch.autograd.grad(out.sum(), rows)
    except RuntimeError as error:
        reason = f"no ({error_line(error)}): torch takes a slower attention by itself"
        return CheckResult("flash attention", True, reason)
    return CheckResult("flash attention", True, "forward and backward")


def _float32_products() -> CheckResult:
    """Whether products of float32 matrices are rounded to TF32. Nothing here switches it on."""
    rounded = torch.get_float32_matmul_precision() != "highest"
    return check_result(
        "products in float32",
        not rounded,
        "rounded to TF32" if rounded else "in full (TF32 is off)",
        remedy="torch.set_float32_matmul_precision('highest'); something in this environment has set it otherwise",
    )


def _deepspeed() -> CheckResult:
    """Whether DeepSpeed can be imported, if it is installed: it looks for CUDA's compiler at once."""
    name = "DeepSpeed"
    if find_spec("deepspeed") is None:
        return CheckResult(
            name,
            True,
            f"not installed; only --trainer.strategy deepspeed_… needs it: {install_extra('deepspeed')}",
        )
    try:
        importlib.import_module("deepspeed")
    except Exception as error:  # its own checks raise many kinds
        return CheckResult(
            name,
            False,
            f"{version('deepspeed')} cannot be imported: {error_line(error)}",
            "set CUDA_HOME to a CUDA toolkit with nvcc of torch's version, or use --trainer.strategy ddp or fsdp2",
        )
    return CheckResult(name, True, version("deepspeed"))
