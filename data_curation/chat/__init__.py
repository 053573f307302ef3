"""One question, one reply: everything between curation and a Chat Completions server.

A *question* becomes a request in the server's *dialect*; a *lesson* changes the dialect where the server declines it.
The *client* sends the request. The body that comes back is opened in two steps: the *envelope* is the JSON object in
it, the *content* is the text or the tool call in that. `parse` reads a reasoning or a distribution from the content.
`error_bodies` reads a body that holds no reply, and `failures` says by which rule that failure is met.

The *exchange* does this for all workers at once, within the *limits*: the *gate* (rate limits, cool-downs, the stop),
the *budget* (the cap on money) and the *breaker* (which notices that a server is down). `connection` builds an exchange
from the command line.
"""
