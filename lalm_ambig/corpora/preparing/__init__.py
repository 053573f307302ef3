"""Preparing: a corpus checked once before training, with its items memory-mapped from disk.

`prepare` returns a `Prepared`, from the cache where nothing has changed. `fingerprint` says what the cache depends on:
settings, label files, sound files and the code that reads them. `checking` does the work: it surveys the labels,
inspects each sound file and writes the table of items. An `ItemView` is some rows of that table as `Item`s.
`split_check` refuses a corpus with an empty split, and says which seed or fold helps.
"""
