"""The ordered classes of a corpus, how a model writes them, and which of them two corpora share."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from lalm_ambig.core.class_names import UNKNOWN, decoded, guessed_domain, keys_by_name
from lalm_ambig.core.errors import InputError

UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"))
"""Characters without a shape that files carry along: soft hyphen, zero-width space, direction marks, word joiner, byte
order mark. The joiners of Persian and of emoji are not among them: they change what is read."""


@lru_cache(maxsize=4096)
def normal_form(name: str) -> str:
    """The form in which names are compared: in one Unicode form, without case, each run of white space one blank.

    Two names are the same where Unicode calls them a canonical caseless match, put in NFC. NFKC is not used: it would
    make one class of `level 2` and `level ²`. Empty for a name in which nothing can be seen.
    """
    folded = unicodedata.normalize("NFD", name.translate(UNSEEN)).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def canonical_key(name: str) -> str:
    """The name under which corpora share a class: `joy` and `happy` are both `happiness` (see `class_names`)."""
    form = normal_form(name)
    return keys_by_name().get(form, form)


def quoted(first: str, second: str) -> str:
    """Two names as a message quotes them: with escapes where a reader could not tell them apart."""
    looks = [
        unicodedata.normalize("NFC", " ".join(name.translate(UNSEEN).split())) for name in (first, second)
    ]
    quote = ascii if looks[0] == looks[1] else repr
    return f"{quote(first)} and {quote(second)}"


@dataclass(frozen=True)
class CategorySet:
    """The classes of a corpus, in the corpus's own order (which also breaks ties of the majority label)."""

    names: tuple[str, ...]
    """The corpus's names, as they appear in tables and JSON."""
    verbalisers: tuple[str, ...] = ()
    """The exact text of each name after `<answer>`; by default a space and the name."""
    prompt_names: tuple[str, ...] = ()
    """The word for each class in prompts; by default its name. See `spoken_as`."""
    domain: str = UNKNOWN
    """What is classified: `emotion`, `inference` or a word of one's own; by default what the names tell, if anything.
    Classes of two domains are never one: the `neutral` of an emotion is not that of an inference."""

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
        object.__setattr__(self, "domain", normal_form(self.domain) or guessed_domain(self.keys))
        _refuse_twice("verbaliser", self.verbalisers, self.verbalisers)
        _refuse_twice("prompt name", self.prompt_names, [normal_form(name) for name in self.prompt_names])

    def __len__(self) -> int:
        return len(self.names)

    @property
    def forms(self) -> tuple[str, ...]:
        """The names in the form in which they are compared, in order."""
        return tuple(normal_form(name) for name in self.names)

    @property
    def keys(self) -> tuple[str, ...]:
        """Canonical keys, in order: what two corpora share a class by, no two of them alike.

        A corpus that tells two classes of one key apart (`joy` beside `happiness`) has each under its own name.
        """
        codes = decoded(self.forms, self.domain)
        keys = [codes.get(form) or canonical_key(form) for form in self.forms]
        return tuple(form if keys.count(key) > 1 else key for form, key in zip(self.forms, keys, strict=True))

    def index(self, name: str) -> int:
        """The position of a class given by its name or key, in any form of it; InputError if there is none."""
        for names, sought in ((self.forms, normal_form(name)), (self.keys, canonical_key(name))):
            if sought in names:
                return names.index(sought)
        raise InputError(f"unknown class {name!r}: expected one of {', '.join(self.names)}")

    def places_in(self, trained: "CategorySet") -> tuple[int | None, ...]:
        """For each class its position among those of another corpus, by name, else by key; None where that has none.

        Of two domains no class is shared; a domain that is not known is taken for the other's (`check_mapping` in
        `evaluation.cross_domain` is stricter).
        """
        if self.domain != trained.domain and UNKNOWN not in (self.domain, trained.domain):
            return (None,) * len(self)
        forms, keys = trained.forms, trained.keys
        by_name = [forms.index(form) if form in forms else None for form in self.forms]
        return tuple(
            place if place is not None else _free_place(key, keys, by_name)
            for place, key in zip(by_name, self.keys, strict=True)
        )

    def spoken_as(self, trained: "CategorySet") -> "CategorySet":
        """These classes, in this order and under these names, in the words of another corpus (A, Table 3).

        A class that `trained` has too (`places_in`) takes the verbaliser and the prompt's word from there: a policy
        trained on that corpus has learnt those. A class that it has not keeps its own (see `unseen_in`).

        A readout is a softmax over one score a class, so scoring only these classes is the same as predicting all
        trained ones, leaving out those that are not asked for, and dividing the rest by their sum:
        exp(s_i) / Σ_asked exp(s_j) = (exp(s_i) / Σ_trained exp(s_j)) / (Σ_asked exp(s_j) / Σ_trained exp(s_j)).
        A class that was never trained takes its share of the sum as well.

        InputError where such a class has the very word of a trained one.
        """
        own = zip(self.verbalisers, self.prompt_names, self.places_in(trained), strict=True)
        words = [
            (verbaliser, prompt_name)
            if place is None
            else (trained.verbalisers[place], trained.prompt_names[place])
            for verbaliser, prompt_name, place in own
        ]
        verbalisers, prompt_names = zip(*words, strict=True)
        return CategorySet(self.names, verbalisers, prompt_names, self.domain)

    def unseen_in(self, trained: "CategorySet") -> tuple[str, ...]:
        """Names of the classes that another corpus does not have, in order."""
        places = zip(self.names, self.places_in(trained), strict=True)
        return tuple(name for name, place in places if place is None)


def refuse_synonyms(names: Sequence[str]) -> None:
    """InputError for two names of one class, where nobody said that they are two."""
    _refuse_twice("class", names, [canonical_key(name) for name in names])


def _free_place(key: str, keys: Sequence[str], taken: Sequence[int | None]) -> int | None:
    """The position of a key that no class has by its name already."""
    place = keys.index(key) if key in keys else None
    return None if place in taken else place


def _refuse_twice(label: str, words: Sequence[str], compared: Sequence[str]) -> None:
    """InputError for two classes whose words are one where they are compared."""
    first: dict[str, str] = {}
    for word, form in zip(words, compared, strict=True):
        if form in first:
            raise InputError(f"{label} {form!r} stands twice: {quoted(first[form], word)}")
        first[form] = word
