"""What a reader has to know where a policy was trained on one corpus and asked about another (A, Table 3)."""

from lalm_ambig.categories import CategorySet


def mapping_note(categories: CategorySet, trained: CategorySet, *, trained_on: str) -> str:
    """How the classes asked for meet those of the corpus `trained_on`, in one line without a full stop.

    It says which are shared, by key; how many of the trained ones were left out; which were never trained.
    """
    unseen = categories.unseen_in(trained)
    shared = [name for name in categories.names if name not in unseen]
    kept = f"{len(shared)} of {len(trained)}"
    parts = [f"classes mapped from {trained_on} by key: {', '.join(_both(shared, trained)) or 'none'}"]
    if shared and len(shared) < len(trained):
        parts.append(f"restricted to {kept} trained classes and renormalised")
    if unseen:
        parts.append(f"never trained: {', '.join(unseen)}")
    return "; ".join(parts)


def _both(shared: list[str], trained: CategorySet) -> list[str]:
    """Each name, with the one it was trained under where that differs."""
    there = [trained.names[trained.index(name)] for name in shared]
    return [name if name == other else f"{name} ({other})" for name, other in zip(shared, there, strict=True)]
