"""Tokenizers of small checkpoints: the tiny model's words, a family's control tokens and a chat template like its."""

import base64
import json
from pathlib import Path
from typing import Any

from small_checkpoints import chat_tokenizer
from tokenizers import AddedToken, Tokenizer, processors
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

GENERATION = "{% if add_generation_prompt %}"
_PARTS = (
    "{% if m['content'] is string %}{{ m['content'] TRIM}}{% else %}{% for p in m['content'] %}"
    "{% if p['type'] == 'audio' %}{{ 'AUDIO' }}{% else %}{{ p['text'] TRIM}}{% endif %}{% endfor %}{% endif %}"
)


def _parts(audio: str, trim: bool = False) -> str:
    """A turn's content, whose parts are written in their order."""
    return _PARTS.replace("AUDIO", audio).replace("TRIM", "| trim " if trim else "")


QWEN = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    + _parts("<|audio_start|><|audio_pad|><|audio_end|>")
    + "{{ '<|im_end|>\n' }}{% endfor %}"
    + GENERATION
    + "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Of Qwen3-Omni."""
FLAMINGO = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}"
    "{% endif %}{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    + _parts("<sound>")
    + "{{ '<|im_end|>\n' }}{% endfor %}"
    + GENERATION
    + "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% set first = '' %}{% set turns = messages %}{% if messages[0]['role'] == 'system' %}"
    "{% set turns = messages[1:] %}{% set first = messages[0]['content'] %}"
    "{% if first is not string %}{% set first = first[0]['text'] %}{% endif %}"
    "{% set first = first + '\n\n' %}{% endif %}"
    "{% for m in turns %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' }}"
    "{{ first if loop.first else '' }}"
    + _parts("<audio_soft_token>", trim=True)
    + "{{ '<end_of_turn>\n' }}{% endfor %}"
    + GENERATION
    + "{{ '<start_of_turn>model\n' }}{% endif %}"
)
"""Of Gemma 3n: no turn of the system, whose text comes before the first user's; texts are trimmed."""
GEMMA4 = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' }}"
    + _parts("<|audio|>", trim=True)
    + "{{ '<turn|>\n' }}{% endfor %}"
    + GENERATION
    + "{{ '<|turn>model\n' }}{% endif %}"
)
GRANITE = (
    "{% for m in messages %}{{ '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + m['content'] +"
    " '<|end_of_text|>\n' }}{% endfor %}"
    + GENERATION
    + "{{ '<|start_of_role|>assistant<|end_of_role|>' }}{% endif %}"
)
"""Takes only text as a turn's content: the sound's placeholder is written in it."""
PHI4 = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}"
    + _parts("<|audio|>")
    + "{{ '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
)
VOXTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST]' }}"
    + _parts("[BEGIN_AUDIO][AUDIO]")
    + "{{ '[/INST]' }}{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}{% else %}"
    "{{ '[SYSTEM_PROMPT]' + m['content'] + '[/SYSTEM_PROMPT]' }}{% endif %}{% endfor %}"
)
"""Writes the tokens that mistral-common 1.13 does. Nothing begins the assistant's turn."""


def extended_tokenizer(tokens: list[str], *, begins: bool = False, **named: Any) -> Any:
    """The tiny model's tokenizer with further control tokens, in this order behind its own.

    Args:
        tokens: The control tokens.
        begins: Whether it writes its first token before each text, as Gemma's do.
        named: Names of tokens, such as `audio_token`, and whole-tokenizer settings.
    """
    core = Tokenizer.from_str(chat_tokenizer().backend_tokenizer.to_str())
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])
    if begins:
        bos = named["bos_token"]
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))]
        )
    settings = {"clean_up_tokenization_spaces": False, "padding_side": "left", **named}
    return PreTrainedTokenizerFast(tokenizer_object=core, **settings)


TEKKEN = [
    *(
        "<unk>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "[AVAILABLE_TOOLS]",
        "[/AVAILABLE_TOOLS]",
        "[TOOL_RESULTS]",
    ),
    *(
        "[/TOOL_RESULTS]",
        "[TOOL_CALLS]",
        "[IMG]",
        "<pad>",
        "[IMG_BREAK]",
        "[IMG_END]",
        "[PREFIX]",
        "[MIDDLE]",
    ),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
    *(f"<SPECIAL_{n}>" for n in range(20, 24)),
    *("[AUDIO]", "[BEGIN_AUDIO]"),
    *(f"<SPECIAL_{n}>" for n in range(26, 34)),
    "[TRANSCRIBE]",
]
"""Voxtral's control tokens, at the ids of the real ones."""
_PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def write_tekken(folder: Path, mel_bins: int, control_tokens: int = 40) -> None:
    """The tiny model's words as a `tekken.json`: the one file of Voxtral's tokenizer on the hub."""
    bytes_of = {character: byte for byte, character in bytes_to_unicode().items()}
    vocabulary = json.loads(chat_tokenizer().backend_tokenizer.to_str())["model"]["vocab"]
    words = sorted((rank, piece) for piece, rank in vocabulary.items() if len(piece) > 1)
    pieces = [bytes([byte]) for byte in range(256)]
    pieces += [bytes(bytes_of[character] for character in piece) for _, piece in words]
    content = {
        "config": {
            "pattern": _PATTERN,
            "num_vocab_tokens": len(pieces),
            "default_vocab_size": len(pieces) + control_tokens,
            "default_num_special_tokens": control_tokens,
            "version": "v7",
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(piece).decode(), "token_str": None}
            for rank, piece in enumerate(pieces)
        ],
        "special_tokens": [
            {"rank": rank, "token_str": token, "is_control": True} for rank, token in enumerate(TEKKEN)
        ],
        "audio": {
            "sampling_rate": 16_000,
            "frame_rate": 12.5,
            "audio_encoding_config": {"num_mel_bins": mel_bins, "hop_length": 160, "window_size": 400},
            "chunk_length_s": 30.0,
        },
    }
    (folder / "tekken.json").write_text(json.dumps(content))
