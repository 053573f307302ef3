"""The form of a response, `<think>…</think><answer>NAME</answer>`, and what one lacks of it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Tags:
    """The tags around reasoning and answer; those that the prompts ask for, unless a base model has its own."""

    think_open: str = "<think>"
    think_close: str = "</think>"
    answer_open: str = "<answer>"
    answer_close: str = "</answer>"

    def put_into(self, prompt: str) -> str:
        """A prompt that asks for the usual tags, asking for these."""
        for name in ("think_open", "think_close", "answer_open", "answer_close"):
            prompt = prompt.replace(getattr(TAGS, name), getattr(self, name))
        return prompt

    def curated_start(self, rationale: str | None) -> str:
        """The curated response up to the answer's place; without a rationale the answer comes at once."""
        return (
            self.answer_open
            if rationale is None
            else f"{self.think_open}{rationale}{self.think_close}{self.answer_open}"
        )

    def missing_end(self, text: str) -> str:
        """What must be appended to a response so that it reaches the answer's place; empty where it has.

        A tag of which the text already ends with a part is completed, not repeated.
        """
        answer = self.answer_open
        if answer in text:
            return ""
        for present in range(len(answer) - 1, 1, -1):  # "<" alone may be the start of either tag
            if text.endswith(answer[:present]):
                return answer[present:]
        needed = answer if self.think_close in text or not text.strip() else self.think_close + answer
        for present in range(len(needed), 0, -1):
            if text.endswith(needed[:present]):
                return needed[present:]
        return needed

    def is_well_formed(self, text: str) -> bool:
        """Whether a response is `<think>…</think><answer>NAME</answer>`: some reasoning, some name, each tag once,
        nothing beside them but white space. Which name it is does not count: the distribution is read before it."""
        every = [
            re.escape(tag) for tag in (self.think_open, self.think_close, self.answer_open, self.answer_close)
        ]
        match = re.fullmatch(
            rf"\s*{every[0]}(?P<thought>.*\S.*){every[1]}\s*{every[2]}[^<>]*[^<>\s][^<>]*{every[3]}\s*",
            text,
            re.DOTALL,
        )
        return match is not None and not re.search("|".join(every), match["thought"])


TAGS = Tags()
