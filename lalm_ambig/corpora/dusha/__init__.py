"""Dusha: Russian speech, acted by a crowd and cut from podcasts; several people judged the emotion of each clip.

`rows` reads the rows of a file, JSON Lines or a table with tabs, as texts; `votes` counts them into a `VotedClip`;
`tally` counts what was left out; `corpus` finds sound, splits the clips and makes items.
"""

from lalm_ambig.corpora.dusha.corpus import Dusha as Dusha
