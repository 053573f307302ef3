"""The checks of `doctor`: whether this machine and this checkpoint can be trained on.

Each check yields a *check result*: a name, whether it holds, a finding with its numbers, and a remedy. `environment`
checks the installation, `gpu` the cards and `all_reduce` the connection between them; none needs a model. `model`
checks the weights, class tokens and adapter of a loaded policy, `audio` everything between a clip and the decoder.
"""
