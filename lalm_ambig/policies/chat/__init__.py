"""Chat: from a user's turn to token ids, by the checkpoint's own template.

A `Template` is the checkpoint's code that turns *turns* into text; `ChatSettings` are its further arguments. A
`TemplateTrial` is what it makes of a probe text, so that a template which changes texts is refused. A `Thought` is a
reasoning tag that the template opens or closes at the start of the model's turn. `TextIds` tokenises texts of others,
in which no control token counts. `Chat` puts these together for a policy.
"""
