"""Cross-domain evaluation: a policy trained on one corpus answers another (ambiguity-aware LALM, Table 3)."""

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.class_names import UNKNOWN
from lalm_ambig.core.errors import InputError

FEWEST_SHARED = 2
"""Fewest classes that two corpora must share: on one class there is no distribution."""


def check_mapping(categories: CategorySet, trained: CategorySet, *, where: str) -> None:
    """Refuse classes that a policy trained on others cannot be asked for.

    Args:
        categories: The classes that are asked for.
        trained: The classes that were trained.
        where: The part of the configuration or command line, for the message.

    Raises:
        InputError: The two are of different domains, or share fewer than two classes.
    """
    asked, known = _described(categories), _described(trained)
    if categories.domain != trained.domain:
        undeclared = UNKNOWN in (categories.domain, trained.domain)
        raise InputError(
            f"the classes asked for are {asked}, those trained on {known}: of two domains no class is the same.",
            where=where,
            remedy="Where both are of one domain, declare it: the option domain=NAME of a jsonl corpus."
            if undeclared
            else "Ask a run that was trained on such classes, or a base model (--policy).",
        )
    shared = [place for place in categories.positions_in(trained) if place is not None]
    if len(shared) < FEWEST_SHARED:
        raise InputError(
            f"the classes asked for are {asked}, those trained on {known}: at least {FEWEST_SHARED} must be the same, "
            f"and {len(shared) or 'none'} is.",
            where=where,
            remedy="Ask for more of those, or a base model (--policy).",
        )


def _described(categories: CategorySet) -> str:
    domain = categories.domain or "of no known domain"
    return f"{domain} ({', '.join(categories.names)})"


def mapping_note(categories: CategorySet, trained: CategorySet, *, trained_on: str) -> str:
    """How the classes asked for map to those of the corpus `trained_on`, in one line without a full stop.

    It names the classes that are shared (by key) and those that were never trained, and counts the trained ones that
    were left out.
    """
    places = dict(zip(categories.names, categories.positions_in(trained), strict=True))
    there = {name: trained.names[place] for name, place in places.items() if place is not None}
    shared = [name if name == other else f"{name} ({other})" for name, other in there.items()]
    parts = [f"classes mapped from {trained_on} by key: {', '.join(shared) or 'none'}"]
    if shared and len(shared) < len(trained):
        kept = f"{len(shared)} of {len(trained)}"
        parts.append(f"restricted to {kept} trained classes and renormalised")
    if len(shared) < len(places):
        parts.append(f"never trained: {', '.join(name for name in places if name not in there)}")
    return "; ".join(parts)
