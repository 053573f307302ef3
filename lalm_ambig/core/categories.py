"""The ordered classes of a corpus, their words in prompts and answers, and the classes that two corpora share."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from lalm_ambig.core.class_names import UNKNOWN, decoded, guessed_domain, keys_by_name
from lalm_ambig.core.errors import InputError

UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"))
"""Invisible characters that names in files may contain: soft hyphen, zero-width space, direction marks, word joiner,
byte order mark. The joiners of Persian and of emoji are not among them, since they change what is read."""


@lru_cache(maxsize=4096)
def normal_form(name: str) -> str:
    """The form in which names are compared: one Unicode form, no case, one blank per run of white space.

    Two names are the same where Unicode defines them as a canonical caseless match. NFKC is not used, since it would
    make one class of `level 2` and `level ²`.

    Args:
        name: A class name, as a file or a response has it.

    Returns:
        The form in NFC; empty for a name without visible characters.

    >>> normal_form("  Very   HAPPY ")
    'very happy'
    """
    folded = unicodedata.normalize("NFD", name.translate(UNSEEN)).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def canonical_key(name: str) -> str:
    """The key under which corpora share a class (see `class_names`).

    >>> canonical_key("Joy"), canonical_key("happy"), canonical_key("awe")
    ('happiness', 'happiness', 'awe')
    """
    form = normal_form(name)
    return keys_by_name().get(form, form)


def quoted(first: str, second: str) -> str:
    """Two names, quoted for a message; with escapes where a reader could not tell them apart."""
    looks = [
        unicodedata.normalize("NFC", " ".join(name.translate(UNSEEN).split())) for name in (first, second)
    ]
    quote = ascii if looks[0] == looks[1] else repr
    return f"{quote(first)} and {quote(second)}"


@dataclass(frozen=True)
class CategorySet:
    """The classes of a corpus, in the corpus's order. That order also breaks ties of the majority label.

    Raises:
        InputError: There are fewer than two classes, a class lacks a word, two have the same name or word, or the steps
            of a scale are numbers that neither rise nor fall.
    """

    names: tuple[str, ...]
    """The corpus's names, as they appear in tables and JSON."""
    verbalisers: tuple[str, ...] = ()
    """The exact text of each class after `<answer>`; by default a space and the name."""
    prompt_names: tuple[str, ...] = ()
    """The word for each class in prompts; by default its name. See `with_words_of`."""
    domain: str = UNKNOWN
    """The thing that is classified: `emotion`, `inference` or any other word. By default it is guessed from the names.
    Classes of two domains are never the same: the `neutral` of emotions is not the `neutral` of inferences."""
    ordered: bool = False
    """Whether the classes are the steps of a scale, from the lowest. Metrics of positions are for these alone."""

    def __post_init__(self) -> None:
        if not self.verbalisers:
            object.__setattr__(self, "verbalisers", tuple(f" {name}" for name in self.names))
        if not self.prompt_names:
            object.__setattr__(self, "prompt_names", self.names)
        if len(self.names) < 2:
            raise InputError(f"a category set needs at least 2 classes, got {list(self.names)}")
        for label, values in (("verbalisers", self.verbalisers), ("prompt names", self.prompt_names)):
            if len(values) != len(self.names):
                raise InputError(f"{len(self.names)} classes but {len(values)} {label}: {values}")
        _refuse_twice("class", self.names, self.forms)
        if self.ordered:
            _refuse_numbers_out_of_order(self.names)
        object.__setattr__(self, "domain", normal_form(self.domain) or guessed_domain(self.keys))
        _refuse_twice("verbaliser", self.verbalisers, self.verbalisers)
        _refuse_twice("prompt name", self.prompt_names, [normal_form(name) for name in self.prompt_names])

    def __len__(self) -> int:
        return len(self.names)

    @property
    def forms(self) -> tuple[str, ...]:
        """Normal forms of the names, in order."""
        return tuple(normal_form(name) for name in self.names)

    @property
    def keys(self) -> tuple[str, ...]:
        """Canonical keys, in order; two corpora share the classes whose keys are equal. No key occurs twice.

        Where a corpus has two classes of one key (`joy` and `happiness`), each keeps its own name as its key.
        """
        codes = decoded(self.forms, self.domain)
        keys = [codes.get(form) or canonical_key(form) for form in self.forms]
        return tuple(form if keys.count(key) > 1 else key for form, key in zip(self.forms, keys, strict=True))

    def index(self, name: str) -> int:
        """Position of a class, by its name or key in any form.

        Args:
            name: The name or key.

        Returns:
            The position, from 0.

        Raises:
            InputError: No class has this name or key.
        """
        for names, sought in ((self.forms, normal_form(name)), (self.keys, canonical_key(name))):
            if sought in names:
                return names.index(sought)
        raise InputError(f"unknown class {name!r}: expected one of {', '.join(self.names)}")

    def positions_in(self, trained: "CategorySet") -> tuple[int | None, ...]:
        """Position of each class among the classes of another corpus, by name or else by key.

        Corpora of two domains share no class. An unknown domain counts as the other corpus's domain (`check_mapping`
        in `evaluation.cross_domain` is stricter).

        Args:
            trained: The classes of the other corpus.

        Returns:
            One position per class; None for a class that the other corpus does not have.
        """
        if self.domain != trained.domain and UNKNOWN not in (self.domain, trained.domain):
            return (None,) * len(self)
        forms, keys = trained.forms, trained.keys
        by_name = [forms.index(form) if form in forms else None for form in self.forms]
        return tuple(
            position if position is not None else _free_position(key, keys, by_name)
            for position, key in zip(by_name, self.keys, strict=True)
        )

    def with_words_of(self, trained: "CategorySet") -> "CategorySet":
        r"""These classes in the words of another corpus, with the same names and order.

        It serves cross-domain evaluation (ambiguity-aware LALM, Table 3). A class that `trained` has too takes the
        verbaliser and the prompt's word from there, since a policy trained on that corpus has learnt those. Any other
        class keeps its own words (see `positions_in` and `unseen_in`).

        A readout is a softmax over one score $s$ per class. Scoring only these classes $A$ therefore equals the
        prediction over all trained classes $T$, restricted to $A$ and divided by its sum:

        $$\frac{e^{s_i}}{\sum_{j \in A} e^{s_j}}
        = \frac{e^{s_i}}{\sum_{j \in T} e^{s_j}} \Big/ \frac{\sum_{j \in A} e^{s_j}}{\sum_{j \in T} e^{s_j}}$$

        A class that was never trained also takes its share of the sum.

        Args:
            trained: The classes of the corpus that the policy was trained on.

        Returns:
            A category set with the names of this one.

        Raises:
            InputError: A class that was not trained has the word of one that was.
        """
        classes = zip(self.verbalisers, self.prompt_names, self.positions_in(trained), strict=True)
        words = [
            (verbaliser, prompt_name)
            if position is None
            else (trained.verbalisers[position], trained.prompt_names[position])
            for verbaliser, prompt_name, position in classes
        ]
        verbalisers, prompt_names = zip(*words, strict=True)
        return replace(self, verbalisers=tuple(verbalisers), prompt_names=tuple(prompt_names))

    def unseen_in(self, trained: "CategorySet") -> tuple[str, ...]:
        """Names of the classes that another corpus does not have, in order."""
        positions = zip(self.names, self.positions_in(trained), strict=True)
        return tuple(name for name, position in positions if position is None)


def refuse_synonyms(names: Sequence[str]) -> None:
    """Refuse two names with one key, for a corpus whose author did not say that they are two classes.

    Args:
        names: The class names.

    Raises:
        InputError: Two of the names share a key.
    """
    _refuse_twice("class", names, [canonical_key(name) for name in names])


def _free_position(key: str, keys: Sequence[str], occupied: Sequence[int | None]) -> int | None:
    """Position of a key, unless a class already has that position by its name."""
    position = keys.index(key) if key in keys else None
    return None if position in occupied else position


def _refuse_twice(label: str, words: Sequence[str], compared: Sequence[str]) -> None:
    """Refuse two words that are equal in the form in which they are compared.

    Raises:
        InputError: Two words are equal.
    """
    first: dict[str, str] = {}
    for word, form in zip(words, compared, strict=True):
        if form in first:
            raise InputError(f"{label} {form!r} stands twice: {quoted(first[form], word)}")
        first[form] = word


def _refuse_numbers_out_of_order(names: Sequence[str]) -> None:
    try:
        steps = [float(name) for name in names]
    except ValueError:
        return
    if not any(all(a < b for a, b in pairwise(one)) for one in (steps, steps[::-1])):
        raise InputError(
            f"the steps of a scale are numbers that neither rise nor fall: {', '.join(names)}.",
            remedy="Name each step once, from the lowest to the highest.",
        )
