"""A rehearsal of real CLIs: a scripted model endpoint on loopback, and the CLIs of the suite's lock file.

`replies` is what a model may be told to do, `anthropic` says it in one wire format, `endpoint` serves and records.
A further wire format is one more module like `anthropic`; scripts and records stay as they are.
"""
