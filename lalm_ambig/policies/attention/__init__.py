"""Attention: hidden states of many texts with their common tokens computed once, or each text by itself.

A *segment* is a run of tokens after its parent segment, so the K responses to a prompt are a tree. An
`AttentionLayout` says which tokens of a packed row see which; `TreeLayout` is that of a training pass, `RolloutCache`
that of decoding. `tree_pass` runs the decoder on them, `plain` runs it on each text alone. `native_forward` is the
model class's own forward, which all of them must equal. `Abilities` says which of these ways a checkpoint can take.
`layer_kinds` and `positions` describe a decoder by its modules and its configuration.
"""
