"""A rehearsal of real CLIs: a scripted model endpoint on loopback that answers in each CLI's wire format.

`replies` is what a model may be told to do, `wires` says it in one wire format each, `endpoint` serves and records,
`clis` points a CLI at the endpoint and knows the names of its tools, `sealed` cuts the process off from every other
network. Standard library only; nothing here is imported by a running product.
"""
