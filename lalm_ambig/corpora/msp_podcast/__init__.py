"""MSP-Podcast, releases 1.12 and 2.0: turns cut from podcasts, each judged by at least five raters.

Files: one of `Labels/labels.txt`, `labels_detailed.csv` and `labels_detailed.json` holds the votes;
`labels_consensus.csv` or `.json` speakers and the official parts; `Audios/*.wav` the sound; `Transcripts/*.txt` the
words. `votes` reads a `VoteRow` per rater and `turns` counts them into a `VotedTurn`; `secondary` parses the
secondary emotions of a rater, and `scales` the ratings; `consensus` reads a `ConsensusEntry` per turn; `tally` joins
both and counts what was left out; `files` finds sound and transcripts; `corpus` makes items and splits them.
"""

from lalm_ambig.corpora.msp_podcast.corpus import MspPodcast as MspPodcast
