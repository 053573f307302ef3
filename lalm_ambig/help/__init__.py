"""Help that is read and not computed: nothing here imports torch, so `--help`, `list` and completion answer at once.

`make help` writes `texts/` (one file per command), `keys.json` (every key of every class, with default, range and
meaning) and `options.json` (each command's options) out of the code, and a test compares them. `commands` finds the
text of a command line, `chosen` the classes that a line of `fit` names, `catalogue` reads the keys, `rendering` lays
them out, `completion_scripts` makes a shell's script. `names` has the nearest name and the two spellings.
"""
