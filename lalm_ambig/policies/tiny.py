"""The default policy: a small random model of Qwen2-Audio's class that the project makes itself, in seconds.

It needs no network and no GPU. It is untrained and knows no language: it is for demonstrations and tests.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    WhisperFeatureExtractor,
)

from lalm_ambig.core import distributed
from lalm_ambig.files.atomic import new_folder
from lalm_ambig.files.places import cache_root
from lalm_ambig.policies.audio.side_path import AudioLayers
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.weights.lora import Adapter

WORDS = Path(__file__).parent / "tiny_words.txt"
WINDOW_S = 4
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}{{ '<|audio_bos|><|AUDIO|><|audio_eos|>\\n' }}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TEXT_CONFIG = {
    "model_type": "qwen2",
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "initializer_range": 0.05,
}
AUDIO_CONFIG = {
    "model_type": "qwen2_audio_encoder",
    "num_mel_bins": 40,
    "d_model": 128,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 256,
    "max_source_positions": WINDOW_S * 50,
}


class Tiny(Qwen2Audio):
    """About two million random parameters, 4 s of audio, a vocabulary of the words that the demo uses."""

    def __init__(
        self,
        *,
        adapter: Adapter | None = None,
        seed: int = 0,
        standardise_audio: bool = False,
        audio_layers: AudioLayers = "last",
    ) -> None:
        """Args:
        adapter: What is trained.
        seed: Seed of the random weights.
        standardise_audio: As for `Qwen2Audio`.
        audio_layers: As for `Qwen2Audio`; its encoder has two layers, so 0 and 1 can be named.
        """
        super().__init__(
            "tiny",
            adapter=adapter,
            dtype="float32",
            standardise_audio=standardise_audio,
            audio_layers=audio_layers,
        )
        self.seed = seed

    def checkpoint(self) -> str:
        return str(distributed.on_rank_zero(lambda: build(self.seed)))

    @property
    def description(self) -> str:
        return "tiny (random, made by the project)"


def build(seed: int) -> Path:
    """The folder of the model with that seed, made on first use."""
    recipe = (
        f"{TEXT_CONFIG}{AUDIO_CONFIG}{CHAT_TEMPLATE}{seed}{WORDS.read_text()}{Path(__file__).read_text()}"
    )
    folder = cache_root() / f"tiny-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        with new_folder(folder) as unfinished:
            _write(unfinished, seed)
    return folder


def _write(folder: Path, seed: int) -> None:
    tokenizer = make_tokenizer(WORDS.read_text().split())
    text = {**TEXT_CONFIG, "vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    config = Qwen2AudioConfig(
        audio_config=AUDIO_CONFIG,
        text_config=text,
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2AudioForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=AUDIO_CONFIG["num_mel_bins"], chunk_length=WINDOW_S)
    Qwen2AudioProcessor(extractor, tokenizer, chat_template=CHAT_TEMPLATE).save_pretrained(folder)


def make_tokenizer(words: list[str]) -> Any:
    """A byte-level BPE in which each word, with a space before it, is one token, and any other text is bytes.

    The merges spell every word from its space onwards, so no word can take a piece of another. Nothing is trained, so
    the tokenizer is the same on every machine.
    """
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False)
    spaced = [f" {word}" for word in words]
    tags = ["think", "answer", "</", "><"]
    vocabulary = {symbol: index for index, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges: dict[tuple[str, str], None] = {}
    for text in spaced + tags:
        for piece, _ in to_bytes.pre_tokenize_str(text):
            for end in range(1, len(piece)):
                merges[piece[:end], piece[end]] = None
                vocabulary.setdefault(piece[: end + 1], len(vocabulary))
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    core.pre_tokenizer = to_bytes
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=SPECIAL[3:],
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
