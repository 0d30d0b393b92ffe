"""`at demo`: the product at work on a throw-away repository. No model is called.

stage.py   the repository and the home folder that it plays in     script.py  the four beads and what must come of them
play.py    runs it, kills the daemon in the middle, checks         telling.py events as lines with the fact behind them
ended.py   signals that end it, as an exception
"""
