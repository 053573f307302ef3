"""The eight sets of LeWiDi in small, in the organisers' folders and forms. The texts and annotators are invented."""

import json
from pathlib import Path
from typing import Any

OPTIONS = {"part": "par"}
"""The set that tests of every corpus open."""
FOLDERS = {
    "hs_brexit": ("LeWiDi_2-2023/HS-Brexit_dataset", "HS-Brexit"),
    "md_agreement": ("LeWiDi_2-2023/MD-Agreement_dataset", "MD-Agreement"),
    "conv_abuse": ("LeWiDi_2-2023/ConvAbuse_dataset", "ConvAbuse"),
    "armis": ("LeWiDi_2-2023/ArMIS_dataset", "ArMIS"),
    "mp": ("LeWiDi_3-2025/MP", "MP"),
    "csc": ("LeWiDi_3-2025/CSC", "CSC"),
    "par": ("LeWiDi_3-2025/Paraphrase", "Paraphrase"),
    "varierr_nli": ("LeWiDi_3-2025/VariErrNLI", "VariErrNLI"),
}
COUNTS = {"train": 10, "dev": 10, "test": 8}
WITHOUT_TRAIN = ("mp", "csc")
SCALES = {"csc": range(1, 7), "par": range(-5, 6)}
LABELS = ("contradiction", "entailment", "neutral")


def path_of(root: Path, part: str, kind: str) -> Path:
    folder, stem = FOLDERS[part]
    return root / folder / f"{stem}_{kind}.json"


def write_entries(root: Path, part: str, kind: str, entries: dict[str, Any]) -> Path:
    path = path_of(root, part, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=2, ensure_ascii=False), encoding="utf-8")
    return path


def of_2023(text: str, annotators: str, annotations: str, *, folded: bool = False) -> dict[str, Any]:
    """An entry of 2023: annotators and annotations are texts with commas."""
    votes = [int(label) for label in annotations.split(",")]
    yes = [vote < 0 if folded else vote == 1 for vote in votes]
    share = round(sum(yes) / len(yes), 2)
    return {
        "text": text,
        "annotation task": "a task",
        "number of annotations": len(votes),
        "annotations": annotations,
        "annotators": annotators,
        "lang": "en",
        "hard_label": str(int(share > 0.5)),
        "soft_label": {"0": round(1 - share, 2), "1": share},
        "split": "dev",
        "other_info": {"domain": "a domain"},
    }


def of_2025(text: dict[str, str], chosen: dict[str, str], soft_label: dict[str, Any]) -> dict[str, Any]:
    """An entry of 2025: annotations are an object by annotator, who is named as often as it has labels."""
    names = [name for name, label in chosen.items() for _ in label.split(",")]
    return {
        "annotation task": "a task",
        "text": text,
        "number of annotators": len(chosen),
        "annotators": ",".join(names),
        "number of annotations": len(names),
        "annotations": chosen,
        "soft_label": soft_label,
        "split": "dev",
        "lang": "en",
        "other_info": {"explanations": ["because"]},
    }


def ironic(n: int, chosen: dict[str, str], *, keys: tuple[str, str] = ("0", "1")) -> dict[str, Any]:
    """An entry of MP; its soft label has the keys of its file."""
    share = sum(label == "1" for label in chosen.values()) / len(chosen)
    return of_2025(
        {"post": f"Post {n}.", "reply": "Oh,\nsure."}, chosen, {keys[0]: 1 - share, keys[1]: share}
    )


def scaled(part: str, n: int, chosen: dict[str, str]) -> dict[str, Any]:
    """An entry of CSC or Par."""
    labels = list(chosen.values())
    soft = {str(step): round(labels.count(str(step)) / len(labels), 2) for step in SCALES[part]}
    texts = {
        "csc": {"context": f"Steve waits for bus {n}.", "response": "How lovely."},
        "par": {"Question1": f"What is {n}?", "Question2": f"What does {n} mean?"},
    }
    return of_2025(texts[part], chosen, soft)


def inferred(n: int, chosen: dict[str, str]) -> dict[str, Any]:
    """An entry of VariErrNLI; an annotator's labels are joined by commas."""
    soft = {}
    for label in LABELS:
        yes = round(
            sum(label in labels.replace(" ", "").split(",") for labels in chosen.values()) / len(chosen), 3
        )
        soft[label] = {"0": 1 - yes, "1": yes}
    return of_2025({"context": f"A dog saw {n} cats.", "statement": "A dog saw animals."}, chosen, soft)


def entry(part: str, n: int, kind: str) -> dict[str, Any]:
    """An entry of any set."""
    if part == "conv_abuse":
        turns = {"prev_agent": "_", "prev_user": "hi", "agent": f"Hello {n}", "user": "go away"}
        return of_2023(json.dumps(turns), "Ann1,Ann2,Ann4", f"{n % 5 - 3},1,0", folded=True)
    if part in ("hs_brexit", "md_agreement", "armis"):
        return of_2023(f"Tweet number {n}", "Ann1,Ann2,Ann3", f"0,{n % 2},{int(n % 3 == 0)}")
    if part == "mp":
        return ironic(
            n, {"Ann1": "0", "Ann2": str(n % 2)}, keys=("0.0", "1.0") if kind == "dev" else ("0", "1")
        )
    if part == "varierr_nli":
        return inferred(n, {"Ann1": LABELS[n % 3], "Ann2": "entailment,neutral", "Ann4": "neutral"})
    steps = SCALES[part]
    return scaled(part, n, {f"Ann{a}": str(steps[(n * a) % len(steps)]) for a in (1, 2, 3)})


def write(folder: Path) -> Path:
    """All sets; MP and CSC without a train file, as in some copies of the organisers' repository."""
    for part in FOLDERS:
        for kind, count in COUNTS.items():
            if kind != "train" or part not in WITHOUT_TRAIN:
                entries = {str(n): entry(part, n, kind) for n in range(count)}
                write_entries(folder, part, kind, entries)
    return folder
