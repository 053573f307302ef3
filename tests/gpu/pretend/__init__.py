"""A pretend accelerator: device mistakes found without a GPU.

`build` compiles the backend, `device` makes torch and Lightning use it, `watch` says which line of the product did
what, and `server` runs the product's commands on it, one after the other, for the tests.
"""
