"""The checks of `doctor`: whether this machine and this checkpoint can be trained on.

Each check yields a *check result*: a name, whether it holds, a finding with its numbers, and a remedy. `environment`
checks the installation and needs no model. `model` checks the weights, class tokens and adapter of a loaded policy,
`audio` everything between a clip and the decoder.
"""
