"""The answer of a policy to one input: a distribution over the classes, and how it was read."""

import html
import math
from dataclasses import dataclass

BAR_WIDTH = 40
LOW_MASS = 0.1
"""Class mass below which an answer has a note: the model would rather have written something else."""
ROW = (
    '<tr><td style="text-align:left;padding:1px 8px">{name}</td><td style="padding:1px">'
    '<svg width="240" height="14" role="img" aria-label="{share}"><rect width="240" height="14" fill="#8883" rx="2"/>'
    '<rect width="{width:.1f}" height="14" fill="{colour}" rx="2"/></svg></td>'
    '<td style="text-align:right;padding:1px 8px">{share}</td></tr>'
)
TOP_COLOUR, COLOUR = "#3b6fb6", "#9db7d9"


@dataclass(frozen=True)
class Answer:
    """How people would divide over the classes, as a policy estimates it.

    `print(answer)` draws a bar per class, and a notebook shows them as a picture.
    """

    id: str
    """The input's name: the path as it was given, an id of the input's own, or `input`."""
    distribution: dict[str, float]
    """Class → estimated share of people, in [0, 1]; the shares sum to 1. Empty where nothing could be read."""
    class_mass: float | None
    """Share of the next-token probability that the classes hold, in [0, 1]: how much the model wanted to name a class
    at all. None where the distribution is stated in words."""
    response: str
    """The text that the policy wrote before its answer, tags included. Of a long recording, one text per window."""
    reasoning: str | None
    """The thoughts in that text; None for a policy that answers at once."""
    never_trained: tuple[str, ...] = ()
    """Classes that the policy was not trained on: their shares mean little."""
    notes: tuple[str, ...] = ()
    """What a reader should know of this answer, one sentence each."""
    closed: bool = False
    """Whether the missing end of the response had to be appended."""
    unparsed: str | None = None
    """Why no distribution could be read from the response; None where one was."""
    windows: int = 1
    """Parts in which the recording was heard. The distribution is their mean, weighted by length."""

    @property
    def file(self) -> str:
        """The same as `id`."""
        return self.id

    @property
    def top(self) -> str | None:
        """The class with the largest share, the first one of equals; None where nothing could be read."""
        return max(self.distribution, key=lambda name: self.distribution[name], default=None)

    @property
    def entropy(self) -> float | None:
        """Entropy of the distribution in bits: 0 where all agree, log2 of the number of classes where all are even."""
        if not self.distribution:
            return None
        return -sum(share * math.log2(share) for share in self.distribution.values() if share > 0) or 0.0

    def __str__(self) -> str:
        lines = [self.id]
        width = max(map(len, self.distribution), default=0)
        for name, share in self.distribution.items():
            unseen = "  (never trained)" if name in self.never_trained else ""
            lines.append(f"{name:<{width}}  {share:6.1%}  {'█' * round(BAR_WIDTH * share)}{unseen}")
        if self.entropy is not None:
            lines.append(f"entropy {self.entropy:.2f} bits (of {math.log2(len(self.distribution)):.2f})")
        if self.reasoning:
            lines.append(self.reasoning)
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        rows = [
            ROW.format(
                name=html.escape(name + (" (never trained)" if name in self.never_trained else "")),
                share=f"{share:.1%}",
                width=240 * share,
                colour=TOP_COLOUR if name == self.top else COLOUR,
            )
            for name, share in self.distribution.items()
        ]
        parts = [f"<b>{html.escape(self.id)}</b><table>{''.join(rows)}</table>"]
        if self.entropy is not None:
            parts.append(f"<div>entropy {self.entropy:.2f} bits</div>")
        if self.reasoning:
            parts.append(
                f'<div style="white-space:pre-wrap;max-width:60em">{html.escape(self.reasoning)}</div>'
            )
        parts += [f'<div style="color:#a60">{html.escape(note)}</div>' for note in self.notes]
        return f"<div>{''.join(parts)}</div>"

    def as_dict(self) -> dict[str, object]:
        """The answer as one JSON object, as `predict --out x.jsonl` writes it."""
        shares = {name: round(share, 6) for name, share in self.distribution.items()}
        entropy, mass = self.entropy, self.class_mass
        return {
            "id": self.id,
            "top": self.top,
            "distribution": shares or None,
            "entropy_bits": None if entropy is None else round(entropy, 6),
            "class_mass": None if mass is None else round(mass, 6),
            "response": self.response,
            "closed": self.closed,
            "unparsed": self.unparsed,
            "windows": self.windows,
            "never_trained": list(self.never_trained),
            "notes": list(self.notes),
        }
