"""Demo: a corpus that this program makes itself, in the layout of CREMA-D.

A `Performance` (`perception`) draws the cues of a clip and the votes of simulated listeners. `voice` turns the cues
into sound, `rationale` into a chain of thought. `writer` writes clips, votes and rationales to a folder; `corpus`
reads them.
"""

from lalm_ambig.corpora.demo.corpus import Demo as Demo
