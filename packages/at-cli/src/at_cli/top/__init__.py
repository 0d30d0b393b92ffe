"""`at top`: one live screen.

model.py   what is shown and what a key does to it, pure      draw.py   that as lines of a given size, pure
keys.py    bytes of a terminal to names of keys, pure          screen.py the terminal: raw, alternate, always given back
feed.py    the daemon: its document when it changed, orders     run.py    the loop that joins them
"""
