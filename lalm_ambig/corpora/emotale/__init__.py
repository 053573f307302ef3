"""EmoTale: acted emotions in English and Danish; three raters chose an emotion and rated arousal, valence, dominance.

Files: `annotations.csv` with a row per clip, and `wav/CLIP.wav`. `ratings` has the layout of the table and reads a
`RatedClip` per row; `corpus` joins rows and clips to items, which are all for a test.
"""

from lalm_ambig.corpora.emotale.corpus import EmoTale as EmoTale
