"""Looking at this machine. `facts.py` reads, `judge.py` decides, `clis.py` knows the four agent programs.

No network is used, no daemon is started, and nothing is written.
"""
