"""Writes docs/reference/families.md from what the tests of families found: `make families`."""

import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "families.md"


def main() -> None:
    """Write the page; exits with the rules that do not hold, where there are any."""
    sys.path.insert(0, str(TESTS))
    from families.outcomes import FOLDER, broken, page, read
    from families.table import FAMILIES

    outcomes = read(Path(os.environ[FOLDER]))
    names = [family.name for family in FAMILIES]
    if lines := broken(outcomes, names):
        sys.exit("\n".join(lines))
    PAGE.write_text(page([outcomes[name] for name in sorted(names)]), encoding="utf-8")
    print(f"{PAGE.relative_to(TESTS.parent)}: {len(names)} families")


if __name__ == "__main__":
    main()
