"""States of a run on disk.

`callback` saves them: the newest states to resume from (`SavedState`), and the best weights (`BestWeights`). `files`
writes them so that a file is complete or not there. `selection` records how the best validation was chosen.
"""
