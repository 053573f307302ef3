"""Models behind an endpoint: the same items and prompts, answered by a Chat Completions server in place of a policy.

`place` says where the endpoint is and what may be sent there. `questions` words the items as chat messages, `chat`
sends them in the form that the server takes. `exchange` asks within the `limits`, and never again for an answer that is
in the folder already (`answers`). `listed` and `scored` read logits: from the server's likeliest tokens, or from the
tokens of the class names themselves. `reading` makes predictions of all this, and `workers` do it for several items.
"""
