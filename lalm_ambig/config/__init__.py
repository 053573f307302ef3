"""Configuration of a run: YAML files, options over them, and what both may name.

A *configuration* is read from files and options by one parser (`cli`), which also has `fit`'s own options
(`run_options`). A file holds what differs from the defaults in the code. `class_names` reads short names of classes,
`short_names` those of files, and `spelling` keys in American and British spelling.
`one_class` refuses two classes for one thing. `renamed` reads keys under their old names. *Trust* decides which
classes a configuration may name (`trust`, with its places, positions and hooks in the parser). The *identity* is a
hash of everything that changes a result. `errors` and `suggestions` turn the parser's reports into one line.
`devices`, `precision`, `seed` and `callbacks` check the trainer's settings before a run begins.
"""
