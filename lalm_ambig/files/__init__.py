"""Files: one reader or writer per kind of file, and the only place that writes.

Writing: `atomic` replaces a file or folder whole. It asks `places` where a path leads, and `failures` turns an OSError
into a `CannotWrite` of one line. `kinds` refuses to write over a file of another kind; `names` makes file names from
names in data; `families` finds the folders that a name with `{seed}` or `{fold}` means.

Reading: `text` opens UTF-8 text, and refuses anything else by the name that `contents` finds in its first bytes.
`json_lines`, `csv` and `yaml` read through it. Each raises `InputError` with file and line.
"""
