"""Audio of policies: log-mel frames of a clip (`mel`), a projector on standardised features (`standardised`).

`text_only` is the audio interface of a policy, with the answers of one that has no audio encoder.
"""
