"""Weights: from a path to a model in memory, and from trained weights to files.

A *source* is a folder or a hub id. `hub`, `contents`, `quantised` and `weight_files` refuse in one line what is no
plain checkpoint; `checkpoint` and `gguf_files` read one. An `Adapter` says what is trained (`lora`), `Targets` which
layers get LoRA (`lora_targets`), and `saved_adapter` loads an adapter with its own settings. `sharding` divides weights
over processes and gathers them.
"""
