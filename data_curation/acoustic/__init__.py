"""The acoustic writer: rationales from measured prosody, offline and deterministic.

`frames` cuts a clip, `pitch` and `syllables` follow its voice, and `measure` gives one *measurement* per clip.
`relative` compares it with other clips: the *standing* has one score per measure. `terms` chooses the words for each
score, the *voice*; `absolute` has words for some measured values themselves. `prosody`, `argument`, `wording` and
`synthesis` make sentences of these; `writer` puts them together.
"""
