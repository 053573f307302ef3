"""Chat templates of many kinds, written for the tests, and a tokenizer with the control tokens that they use."""

from typing import Any

from small_checkpoints import chat_tokenizer
from tokenizers import AddedToken

CONTROLS = (
    *("<think>", "</think>", "[INST]", "[/INST]", "</s>", "<|START_THINKING|>", "<|END_THINKING|>"),
    *("<|start|>", "<|channel|>", "<|message|>", "<|return|>"),
)
START = "<|im_start|>"
TURN = "{{'<|im_start|>'+m['role']+'\n'+m['content']+'<|im_end|>\n'}}"
TURNS = "{% for m in messages %}" + TURN + "{% endfor %}"
GENERATION = "{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
CHATML = TURNS + GENERATION


def opening(text: str) -> str:
    """ChatML whose prompt ends with a text."""
    return TURNS + "{% if add_generation_prompt %}{{'<|im_start|>assistant\n" + text + "'}}{% endif %}"


def contents(expression: str) -> str:
    """ChatML that writes something of each turn in the place of its content."""
    return CHATML.replace("m['content']", expression)


LLAMA2 = (
    "{{bos_token}}{% for m in messages %}{% if m['role']=='user' %}{{'[INST] '+m['content'].strip()+' [/INST]'}}"
    "{% elif m['role']=='assistant' %}{{' '+m['content'].strip()+' </s>'}}"
    "{% else %}{{raise_exception('Only user and assistant roles are supported!')}}{% endif %}{% endfor %}"
)
ALTERNATING = (
    "{% for m in messages %}{% if (m['role']=='user') != (loop.index0 % 2 == 0) %}"
    "{{raise_exception('Conversation roles must alternate user/assistant')}}{% endif %}"
    "{{'[INST]' + m['role'] + '\n' + m['content'] | trim + '</s>'}}{% endfor %}"
    "{% if add_generation_prompt %}[INST]assistant\n{% endif %}"
)
NO_BEGINNING = (
    "{% for m in messages %}{% if m['role']=='user' %}{{'### Instruction:\n'+m['content']+'\n\n'}}"
    "{% else %}{{'### Response: '+m['content']+eos_token}}{% endif %}{% endfor %}"
)
PARTS = (
    "{% for m in messages %}{{'<|im_start|>'+m['role']+'\n'}}{% for p in m['content'] %}{% if p['type']=='text' %}"
    "{{p['text']}}{% endif %}{% endfor %}{{'<|im_end|>\n'}}{% endfor %}" + GENERATION
)
PARTS_AND_STRING = (
    "{% for m in messages %}{{'<|im_start|>'+m['role']+'\n'}}{% if m['role']=='user' %}{{m['content'][0]['text']}}"
    "{% else %}{{m['content'].strip()}}{% endif %}{{'<|im_end|>\n'}}{% endfor %}" + GENERATION
)
EMPTY_THOUGHTS = (
    "{% for m in messages %}{{'<|im_start|>'+m['role']+'\n'}}{% if m['role']=='assistant' %}"
    "{{'<think>\n\n</think>\n\n'}}{% endif %}{{m['content']+'<|im_end|>\n'}}{% endfor %}"
)
THINKS_ON_ITS_OWN = (
    EMPTY_THOUGHTS + "{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}"
    "{% if enable_thinking is defined and not enable_thinking %}{{'<think>\n\n</think>\n\n'}}{% endif %}{% endif %}"
)
THINKS_AND_SHOWS_HOW_NOT_TO = (
    EMPTY_THOUGHTS + "{% if add_generation_prompt %}{{'<|im_start|>assistant\n<think>\n'}}{% endif %}"
)
ALWAYS_BEGINS = (
    TURNS + "{% if messages[-1]['role']=='user' %}{{'<|im_start|>assistant\n<think>\n'}}{% endif %}"
)
ASKS_FOR_A_THOUGHT = (
    "{% for m in messages %}{{'<|im_start|>'+m['role']+'\n'+m['content']}}{% if m['role']=='user' %}"
    " Start with <think>.{% endif %}{{'<|im_end|>\n'}}{% endfor %}" + GENERATION
)
CHANNELS = (
    "{% for m in messages %}{% if m['role']=='assistant' %}{{'<|start|>assistant<|channel|>final<|message|>'"
    "+m['content']+'<|return|>'}}{% else %}{{'<|start|>'+m['role']+'<|message|>'+m['content']}}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
DEFAULT_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}{{'<|im_start|>system\nYou are kind.<|im_end|>\n'}}{% endif %}"
    + CHATML
)
NEEDS_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}{{raise_exception('The first message must be from the system')}}"
    "{% endif %}" + CHATML
)
NEEDS_TOOLS = "{% for tool in tools %}{{tool}}{% endfor %}" + CHATML
DATED = "{{'<|im_start|>system\nToday is '+strftime_now('%d %b %Y')+'<|im_end|>\n'}}" + CHATML


def tokenizer_with(template: Any) -> Any:
    """The tiny model's tokenizer with that chat template and a few control tokens more."""
    tokenizer = chat_tokenizer()
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=token == "</s>") for token in CONTROLS])
    tokenizer.bos_token = "<|endoftext|>"
    tokenizer.chat_template = template
    return tokenizer
