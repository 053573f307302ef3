"""Corpora: each yields `Item`s with votes and a split, from its files as they are distributed.

A `Corpus` (`base`) has settings, label files and a `read` method. One module or room per corpus: `chaosnli`, `crema_d`,
`demo`, `dusha`, `emotale`, `emozionalmente`, `goemotions`, `iemocap`, `jsonl`, `lewidi`, `msp_podcast`.
`base.open_corpus` finds them by name.

`reading` holds what their readers share: bad rows, paths that must stay inside the corpus, seeded splits. `preparing`
checks a corpus once before training and keeps its items on disk as a `Prepared`. `duplicates` finds repeated texts,
clips and speakers. `rationales` reads the chains of thought that `data_curation` wrote.
"""
