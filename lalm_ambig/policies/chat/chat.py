"""Chat: from a user's turn to token ids, by the checkpoint's own template, which is tried out first.

A template is code that came with the weights. It may take content as a string or as a list of parts. It may also leave
a text out, open a thought in the model's turn, or write no beginning of that turn. So a probe text goes through it when
the checkpoint is loaded. The probe must come out unchanged; everything else in the output is then known.
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
"""System turn that is tried if a template fails without one."""
ANOTHER_DAY = "2001-12-31"
"""Another date, by which a template that writes a date is recognised."""
REPEATS = 16
"""Number of calls in which a template must give the same text; it may choose at random."""


class Chat:
    """Prompts of a checkpoint, the tokens that end its turn, and the ids of texts."""

    def __init__(
        self,
        tokenizer: Any,
        source: str,
        settings: ChatSettings | None = None,
        *,
        hears: bool = False,
        marker: str | None = None,
    ) -> None:
        """Args:
            tokenizer: The checkpoint's tokenizer, with its chat template.
            source: The checkpoint's path, for messages.
            settings: Arguments of the template beside the turns.
            hears: Whether a user's turn may contain audio, for which it must be a list of parts.
            marker: Text that stands for audio where the template takes a string only.

        Raises:
            InputError: The template fails, leaves a text out or changes it, or varies from call to call.
        """
        self.tokenizer, self.source, self.hears, self.marker = tokenizer, source, hears, marker
        self.settings = settings or ChatSettings()
        self.template = Template(tokenizer, source, self.settings)
        self.text_ids = TextIds(tokenizer)
        self.trial = self._tried()
        self.thought = find_thought(self.trial.opening, self.template.mentions)
        self.closing = self._closing()
        """Text that closes a thought which the template has opened, so that an answer can come at once."""
        self.lead = self._lead()
        """Control tokens that the template writes between the prompt and any answer, without those of a thought."""
        self._require_own_words()

    # Prompts

    def prompt(self, parts: Sequence[Part], *, at_once: bool = False) -> str:
        """A user's turn as text, up to the start of the model's answer.

        Args:
            parts: Text and audio. For a text-only model they become one string, as its template takes it.
            at_once: The answer comes at once, so a thought that the template opens is closed.
        """
        texts = [part["text"] for part in parts if part["type"] == "text"]
        sound = (self.marker or "") * sum(part["type"] == "audio" for part in parts)
        as_list = self.hears and not self.marker
        content = list(parts) if as_list else self.trial.user(sound + "\n".join(texts))
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

    def tags(self, tags: Tags) -> Tags:
        """The tags around reasoning and answer, after what the template has begun."""
        return self.thought.tags(tags) if self.thought else tags

    def turn_ends(self, model: Any) -> list[int]:
        """Tokens that end the model's turn: first the template's own, then those of the settings.

        Raises:
            InputError: Neither template nor settings name such a token.
        """
        special = set(self.tokenizer.all_special_ids) | set(self.tokenizer.added_tokens_decoder)
        written = self.text_ids.continuation.alone(self.trial.after_answer.strip())[:1]
        configured = model.generation_config.eos_token_id if model.can_generate() else None
        listed = configured if isinstance(configured, list) else [configured]
        ends = [token for token in written if token in special] + [*listed, self.tokenizer.eos_token_id]
        end_ids = list(dict.fromkeys(int(token) for token in ends if token is not None))
        if not end_ids:
            raise InputError(
                f"nothing says what ends the turn of {self.source!r}: neither its chat template nor its settings name "
                "a token.",
                where="policy.path",
                remedy="Set eos_token in the folder's tokenizer_config.json, or eos_token_id in its "
                "generation_config.json.",
            )
        return end_ids

    @property
    def notes(self) -> list[str]:
        """Lines for the user on the prompts."""
        notes = []
        if self._writes_date():
            notes.append(
                f"the chat template writes a date: it is told {self.settings.date} (policy.date), whatever the day"
            )
        if self.thought and self.thought.opened:
            notes.append(
                f"the chat template opens a thought ({self.thought.open_tag}): reasoning goes on in it, and it is "
                "closed before an answer that comes at once"
            )
        if self.thought and self.thought.tags(Tags()).think_open == PLAIN[0]:
            notes.append(
                f"the chat template closes the model's thought ({self.thought.close_tag}): reasoning is asked for "
                f"between {PLAIN[0]} and {PLAIN[1]}"
            )
        return notes

    # The trial

    def _tried(self) -> TemplateTrial:
        """The first form of content in which probe and answer come out unchanged."""
        as_list = self.hears and not self.marker
        try:
            return first_trial(self.template, self.settings.system, hears=as_list)
        except InputError as error:
            remedy = "Set policy.template_arguments to what it asks for, or put a chat_template.jinja into the folder."
            other = TRIAL_SYSTEM if self.settings.system is None else None
            try:
                first_trial(self.template, other, hears=as_list)
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
        """Refuse a text with which the template does something else than with the probe."""
        for text in texts:
            if text.strip() not in prompt:
                raise self.template.error(f"{describe_change(text.strip(), prompt)}.")
        if not prompt.endswith(self.trial.tail):
            shown = texts[-1][-SHOWN:].replace(SENTINEL, "") if texts else ""
            raise self.template.error(f"goes on in another way than usual behind {shown!r}.")

    def _require_own_words(self) -> None:
        """Refuse a template or tokenizer that loses the text, and a template that varies from call to call."""
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
    """A text in one case and without white space, both of which tokenizers may change."""
    return "".join(text.split()).casefold()
