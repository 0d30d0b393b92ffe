"""One function per kind of intent: acts on git, on processes, on agents' inputs.

folder.py   a bead's clone: made, removed      process.py  an agent's process: started, stopped
speech.py   prompts, answers, raw writes       proof.py    work collected, gates, forecasts
landing.py  the merge                          set_up.py   commands around a folder: set-up, teardown
price.py    prices                             commands.py one command line in a holder, for gates and set-ups
"""
