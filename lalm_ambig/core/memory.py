"""Memory that is free on a device or in this machine."""

from pathlib import Path

import torch

LINUX = Path("/proc/meminfo")
UNKNOWN = 8 * 2**30
"""Bytes that are taken to be free where nobody says."""


def free_bytes(device: torch.device) -> int:
    """Bytes that can still be allocated on a CUDA device, with what torch holds unused, or else in this machine.

    Args:
        device: The device; one that does not say how much is free counts as the machine's own memory.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if not LINUX.is_file():
        return UNKNOWN
    for line in LINUX.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return UNKNOWN
