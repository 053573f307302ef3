"""Policies: the base models that are trained, one file per family.

A `Policy` (`base`) is a language model with an *adapter* and, in an `AudioModel`, an audio encoder. It offers prompts
as token ids, embeddings, hidden states, and values of the head for chosen rows. `CausalLM` reads any text chat model,
`Qwen2Audio` and `Qwen2_5Omni` their families, and `Tiny` is a small random model that the project makes itself.

Rooms: `weights` finds, checks and loads checkpoints and adapters; `chat` applies the checkpoint's own chat template;
`audio` makes log-mel frames; `attention` computes texts with common beginnings once; `self_check` tries a loaded
checkpoint out and writes its `Abilities`. Only this room imports transformers and peft.
"""

import logging

logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)  # PEFT imports it; a note on speed
