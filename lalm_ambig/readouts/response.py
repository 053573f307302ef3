"""The form of a response, `<think>…</think><answer>NAME</answer>`, and what an incomplete one lacks."""

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Tags:
    """The tags around reasoning and answer: those of the prompts, unless a base model was trained with others."""

    think_open: str = "<think>"
    """Text before the reasoning."""
    think_close: str = "</think>"
    """Text after the reasoning."""
    answer_open: str = "<answer>"
    """Text before the answer."""
    answer_close: str = "</answer>"
    """Text after the answer."""
    opened: bool = False
    """Whether the prompt ends inside a thought: a response continues it and does not write `think_open` again."""

    def retag(self, prompt: str) -> str:
        """A prompt with the default tags, asking for these tags instead."""
        for name in ("think_open", "think_close", "answer_open", "answer_close"):
            prompt = prompt.replace(getattr(TAGS, name), getattr(self, name))
        return prompt

    def at_once(self) -> "Tags":
        """The tags of a response without reasoning, whose prompt does not end inside a thought."""
        return replace(self, opened=False)

    def curated_start(self, rationale: str | None) -> str:
        """The curated response up to the answer position; without a rationale it is `<answer>` alone."""
        if rationale is None:
            return self.answer_open
        begin = "" if self.opened else self.think_open
        return f"{begin}{rationale}{self.think_close}{self.answer_open}"

    def curated_thought(self, rationale: str) -> str:
        """The curated response up to an answer that is stated in words."""
        return f"{rationale.rstrip()}{self.think_close if self.opened else ''}\n"

    def split_thought(self, text: str) -> tuple[str, str]:
        """Split a response into its thought, without tags, and the rest.

        A thought that is not closed is the entire response. A response without a thought is all rest. A response may
        open a thought even if the prompt asks for none.
        """
        start = text.lstrip()
        if not self.opened and not start.startswith(self.think_open):
            return "", text
        thought, _, rest = (text if self.opened else start.removeprefix(self.think_open)).partition(
            self.think_close
        )
        return thought, rest

    def outside_thought(self, text: str) -> str:
        """The part of a response in which an answer counts: all of it, unless the prompt has opened a thought."""
        return self.split_thought(text)[1] if self.opened else text

    def completion_to_answer(self, text: str) -> str:
        """The string that leads from a response to the answer position; empty if the response has reached it.

        A tag at the text's end that is incomplete is completed, not repeated. In a thought that the prompt has opened,
        no answer counts until the thought is closed.

        >>> Tags().completion_to_answer("<think>low voice</th")
        'ink><answer>'
        """
        answer = self.answer_open
        if answer in self.outside_thought(text):
            return ""
        inside = self.opened and self.think_close not in text
        for present in range(len(answer) - 1, 1, -1):  # "<" alone may be the start of either tag
            if text.endswith(answer[:present]) and not inside:
                return answer[present:]
        closed = self.think_close in text or (not text.strip() and not self.opened)
        needed = answer if closed else self.think_close + answer
        for present in range(len(needed), 0, -1):
            if text.endswith(needed[:present]):
                return needed[present:]
        return needed

    def is_well_formed(self, text: str) -> bool:
        """Whether a response has the form `<think>…</think><answer>NAME</answer>`.

        There must be reasoning, a name, each tag once, and nothing else but white space. Any name will do, since the
        distribution is read before it. In a thought that the prompt has opened, the first tag must not come again.
        """
        every = [
            re.escape(tag) for tag in (self.think_open, self.think_close, self.answer_open, self.answer_close)
        ]
        begin = "" if self.opened else every[0]
        match = re.fullmatch(
            rf"\s*{begin}(?P<thought>.*\S.*){every[1]}\s*{every[2]}[^<>]*[^<>\s][^<>]*{every[3]}\s*",
            text,
            re.DOTALL,
        )
        return match is not None and not re.search("|".join(every), match["thought"])


TAGS = Tags()
