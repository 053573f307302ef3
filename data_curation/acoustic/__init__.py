"""The acoustic writer: rationales from measured prosody, offline and deterministic."""
