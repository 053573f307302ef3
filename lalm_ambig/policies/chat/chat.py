"""Chat: from what a user says to token ids, by the checkpoint's own template, which is tried out before it is trusted.

A template is code that came with the weights. It may want its content as a string or as a list of parts, leave a text
out, open a thought in the model's name, or have no beginning of the model's turn. So a probe goes through it once when
the checkpoint is loaded: what goes in must come out, and what else comes out is known from then on.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.chat.template import ChatSettings, Template
from lalm_ambig.policies.chat.template_trial import (
    PROBE,
    SHOWN,
    Part,
    TemplateTrial,
    answered_prompt,
    as_parts,
    describe_change,
    first_trial,
)
from lalm_ambig.policies.chat.text_ids import SENTINEL, TextIds
from lalm_ambig.policies.chat.thoughts import PLAIN, find_thought
from lalm_ambig.readouts.response import Tags

TRIAL_SYSTEM = "You answer questions."
"""Tried where a template fails without a system turn."""
ANOTHER_DAY = "2001-12-31"
"""Which a template that writes a date writes otherwise."""
REPEATS = 16
"""Times that a template must say the same: chance may choose from a few."""


class Chat:
    """Prompts of a checkpoint, the ends of its turn, and the ids of any text."""

    def __init__(
        self,
        tokenizer: Any,
        source: str,
        settings: ChatSettings | None = None,
        *,
        hears: bool = False,
    ) -> None:
        """
        Args:
            tokenizer: With its chat template.
            source: Where the checkpoint is, for messages.
            settings: What the template is given beside the turns.
            hears: Whether a user's turn may hold sound, for which it must be a list of parts.

        Raises InputError where the template fails, leaves out or changes what is put in, or says another thing each
        time.
        """
        self.tokenizer, self.source, self.hears = tokenizer, source, hears
        self.settings = settings or ChatSettings()
        self.template = Template(tokenizer, source, self.settings)
        self.text_ids = TextIds(tokenizer)
        self.trial = self._tried()
        self.thought = find_thought(self.trial.opening, self.template.mentions)
        self.closing = self._closing()
        """What ends a thought that the template has opened, so that an answer can come at once."""
        self.lead = self._lead()
        """Control tokens that the template writes between the prompt and any answer, a thought's aside."""
        self._require_own_words()

    # What is asked of it

    def prompt(self, parts: Sequence[Part], *, at_once: bool = False) -> str:
        """A user's turn as text, up to where the model's answer begins.

        Args:
            parts: Text and sound. Without ears they become one string, which is what templates of text models take.
            at_once: The answer comes at once, so a thought that the template opens is closed.
        """
        texts = [part["text"] for part in parts if part["type"] == "text"]
        content = list(parts) if self.hears else self.trial.user("\n".join(texts))
        turns = [*self.trial.before, {"role": "user", "content": content}]
        if self.trial.begins:
            prompt = self.template(turns, begin=True)
        else:
            prompt = answered_prompt(self.template, turns, self.trial.answer)
        self._require_kept(texts, prompt)
        return prompt + self.lead + (self.closing if at_once else "")

    def prompt_ids(self, parts: Sequence[Part], *, at_once: bool = False) -> list[int]:
        """Token ids of `prompt`."""
        return self.text_ids.from_start(self.prompt(parts, at_once=at_once))

    def tags(self, own: Tags) -> Tags:
        """Those tags around reasoning and answer, as they go on from what the template began."""
        return self.thought.tags(own) if self.thought else own

    def turn_ends(self, model: Any) -> list[int]:
        """Tokens that end the model's turn: first the one that the template puts there, then all others known.

        Raises InputError where nothing is known to end it.
        """
        special = set(self.tokenizer.all_special_ids) | set(self.tokenizer.added_tokens_decoder)
        written = self.text_ids.behind.alone(self.trial.behind.strip())[:1]
        configured = model.generation_config.eos_token_id if model.can_generate() else None
        listed = configured if isinstance(configured, list) else [configured]
        ends = [token for token in written if token in special] + [*listed, self.tokenizer.eos_token_id]
        known = list(dict.fromkeys(int(token) for token in ends if token is not None))
        if not known:
            raise InputError(
                f"nothing says what ends the turn of {self.source!r}: neither its chat template nor its settings name "
                "a token.",
                where="policy.path",
                remedy="Set eos_token in the folder's tokenizer_config.json, or eos_token_id in its "
                "generation_config.json.",
            )
        return known

    @property
    def notes(self) -> list[str]:
        """What a user should know of the prompts, one line each."""
        found = []
        if self._writes_date():
            found.append(
                f"the chat template writes a date: it is told {self.settings.date} (policy.date), whatever the day"
            )
        if self.thought and self.thought.opened:
            found.append(
                f"the chat template opens a thought ({self.thought.open_tag}): reasoning goes on in it, and it is "
                "closed before an answer that comes at once"
            )
        if self.thought and self.thought.tags(Tags()).think_open == PLAIN[0]:
            found.append(
                f"the chat template closes the model's thought ({self.thought.close_tag}): reasoning is asked for "
                f"between {PLAIN[0]} and {PLAIN[1]}"
            )
        return found

    # How it is tried out

    def _tried(self) -> TemplateTrial:
        """The first way of giving content in which probe and answer come out as they went in."""
        try:
            return first_trial(self.template, self.settings.system, hears=self.hears)
        except InputError as error:
            remedy = "Set policy.template_arguments to what it asks for, or put a chat_template.jinja into the folder."
            other = TRIAL_SYSTEM if self.settings.system is None else None
            try:
                first_trial(self.template, other, hears=self.hears)
            except InputError:
                raise InputError(str(error), remedy=remedy) from error
            remedy = (
                "Set policy.system: it needs a system turn."
                if other
                else "Unset policy.system: it takes none."
            )
            raise InputError(str(error), remedy=remedy) from error

    def _closing(self) -> str:
        if self.thought is None or not self.thought.opened:
            return ""
        close, lead = self.thought.close_tag, self.trial.lead
        if close in lead:  # as the template itself writes a thought of nothing
            return lead
        return f"\n{close}\n\n" if self.trial.prompt.endswith("\n") else close

    def _lead(self) -> str:
        lead = self.trial.lead
        is_thought = self.thought is not None or find_thought(lead, self.template.mentions) is not None
        return "" if is_thought or not self.text_ids.count(lead) else lead.rstrip(" ")

    def _require_kept(self, texts: Sequence[str], prompt: str) -> None:
        """InputError for a text that moves the template to do another thing than it did with the probe."""
        for text in texts:
            if text.strip() not in prompt:
                raise self.template.error(f"{describe_change(text.strip(), prompt)}.")
        if not prompt.endswith(self.trial.tail):
            shown = texts[-1][-SHOWN:].replace(SENTINEL, "") if texts else ""
            raise self.template.error(f"goes on in another way than usual behind {shown!r}.")

    def _require_own_words(self) -> None:
        """InputError where template or tokenizer lose the text, or the template says another thing each time."""
        if len({self.template(self._probe_turns, begin=True) for _ in range(REPEATS)}) > 1:
            raise self.template.error(
                "says another thing each time:", remedy="put one without chance into the folder."
            )
        decoded = _letters(self.tokenizer.decode(self.prompt_ids(as_parts(PROBE))))
        if decoded.count(_letters(PROBE)) != 1:
            raise InputError(
                f"the tokenizer of {self.source!r} does not keep a text: {PROBE!r} is not in what it makes of it.",
                where="policy.path",
                remedy="Does it belong to this checkpoint?",
            )

    def _writes_date(self) -> bool:
        if not self.template.asks_for_date:
            return False
        other = Template(self.tokenizer, self.source, replace(self.settings, date=ANOTHER_DAY))
        return other(self._probe_turns, begin=True) != self.template(self._probe_turns, begin=True)

    @property
    def _probe_turns(self) -> list[dict[str, Any]]:
        return [*self.trial.before, {"role": "user", "content": self.trial.user(PROBE)}]


def _letters(text: str) -> str:
    """A text without case and white space, which tokenizers may change."""
    return "".join(text.split()).casefold()
