"""The ordered classes of a corpus, how a model writes them, and which of them two corpora share."""

from dataclasses import dataclass

from lalm_ambig.errors import InputError

SAME_CLASS = {
    "angry": "anger",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "disgusted": "disgust",
    "afraid": "fear",
    "surprised": "surprise",
}
"""Names that different corpora use for one class, by canonical key."""


def canonical_key(name: str) -> str:
    """The name under which corpora share a class: `joy` and `happy` are both `happiness`."""
    folded = name.strip().lower()
    return SAME_CLASS.get(folded, folded)


@dataclass(frozen=True)
class CategorySet:
    """The classes of a corpus, in the corpus's own order (which also breaks ties of the majority label)."""

    names: tuple[str, ...]
    """The corpus's names, as they appear in prompts, tables and JSON."""
    verbalisers: tuple[str, ...] = ()
    """The exact text of each name after `<answer>`; by default a space and the name."""

    def __post_init__(self) -> None:
        if not self.verbalisers:
            object.__setattr__(self, "verbalisers", tuple(f" {name}" for name in self.names))
        if len(self.names) < 2:
            raise InputError(f"a category set needs at least 2 classes, got {list(self.names)}")
        if len(self.verbalisers) != len(self.names):
            raise InputError(
                f"{len(self.names)} classes but {len(self.verbalisers)} verbalisers: {self.verbalisers}"
            )
        for label, values in (("class", self.keys), ("verbaliser", self.verbalisers)):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise InputError(f"{label} {twice[0]!r} stands twice in {list(values)}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def keys(self) -> tuple[str, ...]:
        """Canonical keys, in order: what two corpora share a class by."""
        return tuple(canonical_key(name) for name in self.names)

    def index(self, name: str) -> int:
        """The position of a class given by its name or key, in any case; InputError if there is none."""
        key = canonical_key(name)
        if key not in self.keys:
            raise InputError(f"unknown class {name!r}: expected one of {', '.join(self.names)}")
        return self.keys.index(key)
