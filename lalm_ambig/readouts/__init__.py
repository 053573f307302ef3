"""Readouts: how a distribution over the classes is read from a policy.

A *logit readout* (`logits`) takes the scores of the class names at the answer position and applies a softmax. An
`AnswerTokens` says how a tokenizer writes the answer and each name. A *verbalised readout* (`verbalised`) parses the
JSON object that the response states; a response that states none is `Unparsed`, with a reason. `Tags` (`response`) are
the tags around reasoning and answer, and what a response needs to get from one to the other.

Readouts know texts, token ids and tensors, but no policy: `rollouts` brings the two together.
"""
