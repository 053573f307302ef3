"""Audio: sound files as 16 kHz mono samples.

`inspection` decides per file whether a model can be given it: an `Inspection` says whether it is usable, its duration,
and each `Problem`. `reading` loads the samples of a usable file and resamples them. Both raise `UnusableAudio` for the
same files.
"""
