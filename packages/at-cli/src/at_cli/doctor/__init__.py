"""Looking at this machine. `facts.py` reads, `judge.py` decides, `clis.py` knows the four agent programs.

No network is used, no daemon is started, and nothing of ours is written. Asked for their version, some agent programs
make folders of their own in HOME.
"""
