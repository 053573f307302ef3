"""What ten minutes of one GPU should tell about the project: stages with time-outs, and the facts that they write down.

`runner` runs each of `stages` as a process of its own, `facts` keeps what they find, `device` measures time and memory,
`true_size` makes 7B models with random weights. What they use of the product comes from the room `product`.
"""
