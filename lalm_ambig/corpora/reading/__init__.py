"""Parts that the readers of all corpora share.

`BadRows` collects malformed rows: they stop the reading, or are counted and left out. An `Enclosure` refuses paths that
lead out of the corpus's folder; `Siblings` finds a clip by its stem. `splits` draws train, validation and test by hash.
"""
