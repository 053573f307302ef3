"""Preparing: a corpus checked once before training, with its items memory-mapped from disk.

`prepare` returns a `Prepared`, from the cache where nothing has changed. `fingerprint` says what the cache depends on:
settings, label files, sound files and the code that reads them. `labels` reads the labels once and writes the table of
items. `checking` inspects each sound file, and leaves out the items whose sound is unusable. `inspections` remembers
the files that were inspected, so that a killed check goes on. An `ItemView` is some rows of the table as `Item`s.
`split_check` refuses a corpus with an empty split, and says which seed or fold helps.
"""
