"""The only caller of git in the product. Rooms, by what they do:

`inspect` what a repository is · `clone` folders for agents and gates · `collect` taking over an agent's work ·
`diff` reading · `merge` merges made aside · `land` moving the target · `attic` keeping before removing.
Under them: `run` the hardened runner · `names` allow-lists · `places` where repositories lie · `settings` the
person's configuration · `private`, `nofollow` an agent's clone as data · `include` ignored files that go along · `plant`, `snapshot`, `transport`, `head`,
`refs`, `checkout`, `landing_record`, `locks`, `child`, `together` the steps of the above.
"""

from at_daemon.git.attic import AtticEntry, attic_entries, keep, restore
from at_daemon.git.clone import Prepared, base_ref, checkout_tree, prepare
from at_daemon.git.collect import Collected, collect
from at_daemon.git.diff import DiffStat, changed_between, diff, diffstat, read_file_at, read_file_in
from at_daemon.git.folders import remove_folder
from at_daemon.git.inspect import RepositoryFacts, inspect, resolve
from at_daemon.git.land import Landed, WaitReason, Waits, land
from at_daemon.git.merge import Forecast, make_merge, try_merge, update_branch
from at_daemon.git.names import branch_name, with_trailers
from at_daemon.git.settings import Identity

__all__ = [
    "AtticEntry",
    "Collected",
    "DiffStat",
    "Forecast",
    "Identity",
    "Landed",
    "Prepared",
    "RepositoryFacts",
    "WaitReason",
    "Waits",
    "attic_entries",
    "base_ref",
    "branch_name",
    "changed_between",
    "checkout_tree",
    "collect",
    "diff",
    "diffstat",
    "inspect",
    "keep",
    "land",
    "make_merge",
    "prepare",
    "read_file_at",
    "read_file_in",
    "remove_folder",
    "resolve",
    "restore",
    "try_merge",
    "update_branch",
    "with_trailers",
]
