"""LeWiDi: the eight sets of the shared tasks on learning with disagreements (2023 and 2025), each with its annotators.

Files: a folder per set with `NAME_train.json`, `NAME_dev.json` and `NAME_test.json`, in the organisers' repository.
`parts` has what differs between the sets; `entries` reads a file into an `Entry` per item and checks its soft label;
`corpus` makes items of them.
"""

from lalm_ambig.corpora.lewidi.corpus import Lewidi as Lewidi
