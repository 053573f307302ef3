"""CREMA-D: 7,442 clips, each judged by voice, by face, or by both.

Files: `processedResults/tabulatedVotes.csv` holds one row per clip and modality; `AudioWAV/CLIP.wav` the sound. `votes`
reads the table into a `Ballot` per clip; `corpus` joins ballots and clips to items, split by actor.
"""

from lalm_ambig.corpora.crema_d.corpus import CremaD as CremaD
