"""IEMOCAP: ten actors in five sessions, scripted and improvised dialogues.

Files, per session: `dialog/EmoEvaluation/*.txt` holds codes and raters' tags, `dialog/transcriptions/*.txt` the words,
`sentences/wav/DIALOGUE/TURN.wav` the sound. `files` finds a `Dialogue`; `labels` parses its files into a `RatedTurn`
each; `votes` counts tags by class; `tally` counts what was left out; `corpus` makes items and splits by session.
"""

from lalm_ambig.corpora.iemocap.corpus import Iemocap as Iemocap
