"""`at prove`: the installed CLIs through a table of cases, sealed to loopback, before a scripted model.

`ground` is the throw-away place, `site` one home and repository in it, `scene` what a case does with a site, `cases`
the table's rows, `table` plays them, `report` prints them.
"""
