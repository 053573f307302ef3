"""JSON Lines: a corpus of the user's own, one file with one object per item.

The first line may declare the classes (`declaration`). `rows` parses each further line into an `ItemRow`; `corpus`
checks what only the whole file tells (splits, classes, ids) and makes items.
"""

from lalm_ambig.corpora.jsonl.corpus import JsonLines as JsonLines
