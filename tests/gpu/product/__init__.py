"""Every part of the product that the checks of this folder use, so that a rename is mended in one place.

The stages of `check` and the server of `pretend` import the product from this room only: its `commands`, the
`assembly` of a model that is too large for a checkpoint, and `decoding`.
"""
