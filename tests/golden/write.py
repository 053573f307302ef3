"""Writes the golden curves again: `python tests/golden/write.py`, two minutes of a core.

Do this after a change that is meant to change training, and put the line that it prints into CHANGELOG.md with what
changed: a test fails until it is there.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from recipes import CURVES, RECIPES, SEEDS, Curves, Recipe, declaration, file_of, train


def main() -> None:
    """Train every recipe and replace its file in `curves/`."""
    torch.set_num_threads(1)
    CURVES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        for name, recipe in RECIPES.items():
            for seed in SEEDS:
                text = text_of(recipe, train(name, Path(folder), seed=seed))
                file_of(name, seed).write_text(text, encoding="utf-8")
                print(f"{name}, seed {seed}: written", flush=True)
    print(f"for CHANGELOG.md, with what changed: {declaration()}")


def text_of(recipe: Recipe, curves: Curves) -> str:
    """The file of a recipe. A column is a line, so that a diff shows which changed."""
    columns = ",\n".join(f"  {json.dumps(column)}: {json.dumps(values)}" for column, values in curves.items())
    return f'{{"preset": {json.dumps(recipe.preset)}, "curves": {{\n{columns}\n}}}}\n'


if __name__ == "__main__":
    main()
