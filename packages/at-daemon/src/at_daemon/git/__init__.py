"""The only caller of git in the product. Rooms, by what they do:

`inspect` what a repository is · `clone` folders for agents and gates · `collect` taking over an agent's work ·
`diff` reading · `since` what is new about work · `lines` of files and where they went · `merge` merges made aside ·
`land` moving the target · `base` where work begins · `push` to a remote, when told · `attic` keeping before removing ·
`entries`, `restore` what was kept, and out of there again · `spare` refs of ours that may go · `carry` a person's own
checkout as a bead's first state.
`warm` folders whose files are there before they are wanted · `checkout_size` what one more takes.
Under them: `run` the hardened runner · `names` allow-lists · `places` where repositories lie · `settings` the
person's configuration · `network` what push and fetch share · `private`, `nofollow` an agent's clone as data · `include` ignored files that go along · `scratch`, `plant`, `filters`, `snapshot`, `transport`, `head`,
`refs`, `checkout`, `landing_record`, `locks`, `child`, `together` the steps of the above.
"""

from at_daemon.git.attic import keep
from at_daemon.git.base import Base, Upstream, choose_base, fetch, upstream_of
from at_daemon.git.carry import Carried, ForBead, carry, hold
from at_daemon.git.clone import Prepared, base_ref, checkout_tree, is_clone_of, prepare
from at_daemon.git.collect import Collected, collect
from at_daemon.git.diff import DiffStat, changed_between, diff, diffstat, read_file_at, read_file_in
from at_daemon.git.entries import AtticEntry, AtticSize, attic_entries, attic_sizes, base_trees
from at_daemon.git.folders import is_set_aside, remove_set_aside, set_aside_folder
from at_daemon.git.include import ignored_in
from at_daemon.git.inspect import RepositoryFacts, inspect, resolve
from at_daemon.git.land import Landed, WaitReason, Waits, land
from at_daemon.git.lines import line_now, lines_of
from at_daemon.git.merge import Forecast, make_merge, merges_since, try_merge, update_branch
from at_daemon.git.names import branch_name, with_trailers
from at_daemon.git.nofollow import remove_tree
from at_daemon.git.push import Pushed, Remote, push, remote_of
from at_daemon.git.restore import Restored, restore, restore_branch, restored_from
from at_daemon.git.settings import Identity
from at_daemon.git.since import Earlier, earlier_state
from at_daemon.git.spare import OurRefs, delete_refs, our_refs
from at_daemon.git.warm import Aim, Warm, aim, is_at, renewal_size, target_sign, warm_up

__all__ = [
    "Aim",
    "AtticEntry",
    "AtticSize",
    "Base",
    "Carried",
    "Collected",
    "DiffStat",
    "Earlier",
    "ForBead",
    "Forecast",
    "Identity",
    "Landed",
    "OurRefs",
    "Prepared",
    "Pushed",
    "Remote",
    "RepositoryFacts",
    "Restored",
    "Upstream",
    "WaitReason",
    "Waits",
    "Warm",
    "aim",
    "attic_entries",
    "attic_sizes",
    "base_ref",
    "base_trees",
    "branch_name",
    "carry",
    "changed_between",
    "checkout_tree",
    "choose_base",
    "collect",
    "delete_refs",
    "diff",
    "diffstat",
    "earlier_state",
    "fetch",
    "hold",
    "ignored_in",
    "inspect",
    "is_at",
    "is_clone_of",
    "is_set_aside",
    "keep",
    "land",
    "line_now",
    "lines_of",
    "make_merge",
    "merges_since",
    "our_refs",
    "prepare",
    "push",
    "read_file_at",
    "read_file_in",
    "remote_of",
    "remove_set_aside",
    "remove_tree",
    "renewal_size",
    "resolve",
    "restore",
    "restore_branch",
    "restored_from",
    "set_aside_folder",
    "target_sign",
    "try_merge",
    "update_branch",
    "upstream_of",
    "warm_up",
    "with_trailers",
]
