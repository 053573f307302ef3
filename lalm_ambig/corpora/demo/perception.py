"""The model behind the demo's votes: how a voice sounds, and how listeners name it.

A clip has seven cues, in standard units around the speaker's usual value (0). Each emotion is a point among them, its
PROTOTYPE. The actor aims at one emotion with an intensity between faint and overdone, and misses a little: cues =
intensity · prototype + noise. Each listener hears the cues through noise of their own and names the nearest prototype.
Names that a panel of listeners likes to say count as a little nearer than they are.

So the votes depend on the sound alone, and clips between two prototypes divide the listeners. The best prediction is
the share of each name.
"""

from dataclasses import dataclass

import numpy as np

CUES = ("loudness", "pitch", "range", "slope", "rate", "brightness", "breathiness")
"""Level; pitch; how far the pitch moves; whether it rises or falls; syllables a second; tilt; noise."""
PROTOTYPES = np.array(
    [
        [1.7, 0.5, 0.6, -0.5, 0.6, 1.5, -0.8],  # anger
        [0.1, -1.0, 0.6, -1.2, -0.9, 0.6, 1.0],  # disgust
        [-0.5, 1.4, -0.6, 0.9, 1.4, -0.2, 1.3],  # fear
        [0.7, 1.2, 1.6, 0.8, 0.4, 0.6, -0.6],  # happiness
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # neutral
        [-1.3, -0.6, -1.0, -0.5, -1.3, -1.2, 0.6],  # sadness
    ]
)
"""Cues of each emotion, in the class order of CREMA-D."""
ACTING_NOISE = 0.4
"""Standard deviation of the actor's error, per cue."""
INTENSITIES = (0.3, 1.1)
"""Bounds of the intensity; at 1 the actor is at the prototype."""
LISTENING_NOISE = 0.95
"""Standard deviation of a listener's error, per cue."""
PANELS = {
    "home": (0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "abroad": (1.0, 0.0, 0.0, 0.0, 2.5, 0.0),
}
"""Panels of listeners, and what each takes off the squared distance to the classes: at home they say neutral when in
doubt, abroad more often, and anger too."""
LISTENERS = (8, 12)
"""Bounds of the number of votes per clip."""


@dataclass(frozen=True)
class Performance:
    """Cues and votes of one clip, before it is sound."""

    cues: np.ndarray
    """One value per cue, in standard units."""
    votes: np.ndarray
    """Count per class."""


def perform(emotion: int, rng: np.random.Generator, *, panel: str = "home") -> Performance:
    """Draw the cues of a clip that aims at the emotion of that index, and the votes that it gets from a panel."""
    cues = rng.uniform(*INTENSITIES) * PROTOTYPES[emotion] + rng.normal(0, ACTING_NOISE, len(CUES))
    listeners = int(rng.integers(LISTENERS[0], LISTENERS[1] + 1))
    return Performance(cues, cast_votes(cues, listeners, rng=rng, panel=panel))


def cast_votes(
    cues: np.ndarray, listeners: int, *, rng: np.random.Generator, panel: str = "home"
) -> np.ndarray:
    """Votes per class of that many listeners of a panel, each of whom hears the cues through fresh noise."""
    heard = cues + rng.normal(0, LISTENING_NOISE, (listeners, len(CUES)))
    distances = np.square(heard[:, None, :] - PROTOTYPES).sum(-1)
    return np.bincount((distances - PANELS[panel]).argmin(-1), minlength=len(PROTOTYPES))
