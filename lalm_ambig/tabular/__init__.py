"""Tables as data, and every format that they are written in.

A `ResultTable` has `Column`s and `TableRow`s; a row has names on the left and `Cell`s on the right. A cell holds a
value with its interval, or a text. `ranked` marks the best cells of each column. `writers` has every format: Markdown,
LaTeX, CSV, HTML, and a terminal's table. `escaping` keeps any text from being markup there. `from_markdown` reads the
tables of a `results.md` back.

The rooms above fill tables: `evaluation` for runs, `reporting` for papers' tables, `estimation` for memory.
"""
