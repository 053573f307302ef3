"""The demo as a corpus of another kind: what tests across corpora are evaluated on."""

import json
from pathlib import Path
from typing import Any

from lalm_ambig.corpora.crema_d.votes import CATEGORIES
from lalm_ambig.corpora.demo.corpus import Demo


def write_rows(path: Path, corpus: Path, names: dict[str, str]) -> Path:
    """The demo as JSON Lines: the classes of `names` under other names, in that order, and what has a vote for one."""
    rows: list[dict[str, Any]] = [{"categories": list(names.values())}]
    for item in Demo(corpus).read():
        found = dict(zip(CATEGORIES.names, item.votes, strict=True))
        votes = {other: found[name] for name, other in names.items() if found[name]}
        if votes:
            row = {"id": item.id, "audio": item.audio, "text": item.text, "votes": votes}
            rows.append({**row, "speaker": item.speaker, "split": item.split})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
