"""The words of the audit log and of the fact table, each defined once.

Events are dotted names in the past tense and are never read back to rebuild state. Facts are the newest observation
of one kind about one bead or agent; decisions and labels are computed from them.
"""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """Everything that is written to the audit log."""

    DAEMON_STARTED = "daemon.started"
    DAEMON_DOWN_ASKED = "daemon.down_asked"
    DAEMON_STOPPED = "daemon.stopped"
    RIG_ADDED = "rig.added"
    RIG_TRUSTED = "rig.trusted"
    BEAD_ADDED = "bead.added"
    BEAD_AFTER_SET = "bead.after_set"
    BEAD_RENAMED = "bead.renamed"
    BEAD_HOOKED = "bead.hooked"
    BEAD_UNHOOKED = "bead.unhooked"
    BEAD_SLUNG = "bead.slung"
    BEAD_HANDED_IN = "bead.handed_in"
    BEAD_SENT_BACK = "bead.sent_back"
    BEAD_PROVED = "bead.proved"
    BEAD_SETTLED = "bead.settled"
    BEAD_PUSHED = "bead.pushed"
    PULL_REQUEST_CHANGED = "pull_request.changed"
    BEAD_COMMENTED = "bead.commented"
    BEAD_COMMENT_REMOVED = "bead.comment_removed"
    BEAD_LANDING_ALLOWED = "bead.landing_allowed"
    BEAD_LANDING_WAITS = "bead.landing_waits"
    BEAD_BLOCKED = "bead.blocked"
    BEAD_LANDED = "bead.landed"
    BEAD_FAILED = "bead.failed"
    BEAD_ESCALATED = "bead.escalated"
    BEAD_OVERRIDDEN = "bead.overridden"
    BEAD_RETRIED = "bead.retried"
    BEAD_REMOVAL_ASKED = "bead.removal_asked"
    BEAD_REMOVED = "bead.removed"
    BEAD_RESTORED = "bead.restored"
    FOLDER_WARMED = "folder.warmed"
    FOLDER_PREPARED = "folder.prepared"
    FOLDER_COMMAND_BEGUN = "folder.command_begun"
    FOLDER_COMMAND_FINISHED = "folder.command_finished"
    FOLDER_COMMAND_DROPPED = "folder.command_dropped"
    FOLDER_REMOVED = "folder.removed"
    FOLDER_STAYS = "folder.stays"
    LEFTOVERS_REMOVAL_ASKED = "leftovers.removal_asked"
    WORK_COLLECTED = "work.collected"
    OVERLAP_FORESEEN = "overlap.foreseen"
    KEEP_AWAKE_FAILED = "keep_awake.failed"
    GATE_FINISHED = "gate.finished"
    AGENT_ADDED = "agent.added"
    AGENT_STARTED = "agent.started"
    AGENT_ADOPTED = "agent.adopted"
    AGENT_EXITED = "agent.exited"
    AGENT_STOPPED = "agent.stopped"
    AGENT_RESUMED = "agent.resumed"
    AGENT_LOST = "agent.lost"
    AGENT_SILENT = "agent.silent"
    CLI_CHANGED = "cli.changed"
    SESSION_ADOPTED = "session.adopted"
    SESSION_NAMED = "session.named"
    MESSAGE_QUEUED = "message.queued"
    MESSAGE_SENT = "message.sent"
    MESSAGE_ACCEPTED = "message.accepted"
    MESSAGE_STARTED = "message.started"
    MESSAGE_ANSWERED = "message.answered"
    MESSAGE_FAILED = "message.failed"
    MESSAGE_FORGOTTEN = "message.forgotten"
    TEXT_SPOKEN = "text.spoken"
    TOOL_STARTED = "tool.started"
    TOOL_ENDED = "tool.ended"
    ASK_OPENED = "ask.opened"
    ASK_DECIDED = "ask.decided"
    ASK_CLOSED = "ask.closed"
    USAGE_REPORTED = "usage.reported"
    USAGE_PRICED = "usage.priced"
    CALL_RETRIED = "call.retried"
    LIMIT_REACHED = "limit.reached"
    LOGIN_REFUSED = "login.refused"
    BUDGET_REACHED = "budget.reached"
    BUDGET_SET = "budget.set"
    TURN_ENDED = "turn.ended"
    LINE_UNPARSED = "line.unparsed"
    INTENT_PUT_OFF = "intent.put_off"
    INTENT_FAILED = "intent.failed"
    RULE_ADDED = "rule.added"
    RULE_REMOVED = "rule.removed"
    INTERRUPTION_OPENED = "interruption.opened"
    INTERRUPTION_CLOSED = "interruption.closed"


IN_TURN = (
    EventType.TEXT_SPOKEN,
    EventType.TOOL_STARTED,
    EventType.TOOL_ENDED,
    EventType.ASK_OPENED,
    EventType.ASK_DECIDED,
    EventType.CALL_RETRIED,
    EventType.LIMIT_REACHED,
    EventType.LOGIN_REFUSED,
    EventType.TURN_ENDED,
)
"""What an agent tells in a turn."""


class BeadFact(StrEnum):
    """Observations about a bead's work. Values are JSON objects."""

    ORDER = "order"
    """What the person asked for: {cli, base, allow, land, model, generation, adopted}; adopted: the session
    of a person that it goes on in, {session, own, folder, attic, base, base_ref, notes}."""
    FOLDER = "folder"
    """Its clone exists: {path, branch, base_sha, base_ref, base, target, notes, adopted_from, begun_in}; `base` as bead documents have it;
    `warm`: its files were written before it was wanted."""
    COMMANDS = "commands"
    """What the repository's file has for the folder: {state, setup, run, timeout_seconds, hash, error, generation, look, stale};
    `cache`, of a folder's first look: {key, paths, used, instead, keeps, note}."""
    SET_UP = "set_up"
    """Commands that ran in the folder, by phase: {setup: {generation, attempt, again, boot, done, results}, run: the
    same, begun: key of the intent whose command runs}."""
    TEARDOWN = "teardown"
    """The removal that is under way, as it was begun: {intent, attic, commands, timeout_seconds}."""
    SESSION = "session"
    """The CLI's own session for this bead, which resumes it: {id}."""
    HANDED_IN = "handed_in"
    """Work was handed in for checking: {by, round}."""
    BRANCH = "branch"
    """The branch as fetched: {head, tree, base, commits, files, insertions, deletions, settings_changed, unmerged, notes, round}."""
    RULES = "rules"
    """Settings of the repository as they stand on the target: {state, gates, landing, hash, error}."""
    FORECAST = "forecast"
    """A merge onto the target, tried aside: {head, target, clean, tree, contained, brought, conflicts, look,
    settings_brought}; brought: it would change nothing; settings_brought: from a base other than the target."""
    LOOK = "look"
    """How often the target was to be looked at anew: {number, why}."""
    READY = "ready"
    """It may merge as it stands: {head, target, target_name, tree, by, look, single, size}; see `landing_queue.Ready`.

    {coming, target_name} while its target is looked at anew.
    """
    LAND_ALLOWED = "land_allowed"
    """Somebody or a trusted rule lets it merge: {by, head}."""
    BLOCKED = "blocked"
    """Why it can't move without a person: {kind, reason}."""
    MERGED = "merged"
    """On the target: {merge, head, target, tree, checked}; checked: the tree at the end of its train, on which gates passed."""
    ROUNDS = "rounds"
    """How often it was sent back by machine: {count}."""
    OUTCOME = "outcome"
    """Why it failed, was escalated or was sent back: {status, kind, reason, hint}."""
    BUDGET = "budget"
    """What the person lets it use in place of the configured budget: {usd, tokens}; {} is no limit."""
    PARKED = "parked"
    """Which budget keeps its next turn from beginning: {scope, unit, limit, spent, reason, hint, passes_at}."""
    SETTLED = "settled"
    """As it was told last: {exit_code}; none while something is awaited that comes by itself."""
    MADE_ROOM = "made_room"
    """When another agent was last ended to free memory for this one: {session, awake, boot}."""
    ANNOUNCED = "announced"
    """Head and target for which `bead.proved` was written: {head, target}."""
    OVERRIDE = "override"
    """A person's word in place of a proof: {by}."""
    COMMENTS = "comments"
    """What was said about its work, line by line: {comments: [comment], last}; last is the highest number given."""
    PULL_REQUEST = "pull_request"
    """Where its branch was pushed, and what was seen of its pull request: {remote, branch, pushed, pushing, base, number, url,
    state, draft, review, head, checks, taken}; taken are keys of comments and of checks that failed."""
    SEEN = "seen"
    """Head that the person last looked at: {head}."""


class NeedFact(StrEnum):
    """Observations about what a person is wanted for."""

    NOTICE = "notice"
    """It was shown on the desktop: {shown, number}; number: what the notifier calls it."""


class RigFact(StrEnum):
    """What is on record about a repository. Values are JSON objects."""

    QUEUES = "queues"
    """The landing queue of each target branch by its name: {number, alone, train}; see `landing_queue.Line`."""
    OVERLAPS = "overlaps"
    """Which works would conflict as far as they have got: {works: {bead id: {head, target, paths, open_pairs}},
    pairs: {bead id: {greater bead id: paths}}}; see `at_daemon.overlaps`."""


class AgentFact(StrEnum):
    """Observations about an agent. Values are JSON objects."""

    PROCESS = "process"
    """{state: running|exited|lost, session, pid, exit_code, exit_signal, attempt, asked, bead, cause}; asked: we ended it,
    cause: what the machine tells of why it ended."""
    TURN = "turn"
    """{state: working|ended|cut, bead, message_id, outcome, failure, error, number, denied, text}.

    cut: the process ended in it; begun: and the agent had taken what it is about. dealt_with: something was made of how
    it ended. go_on: a person wants it gone on with.
    """
    SIGN_OF_LIFE = "sign_of_life"
    """{awake: seconds of awake time, boot: boot id} when the agent or a child of it last did something."""
    RETRYING = "retrying"
    """{kind, attempt, delay_seconds, message} or null."""
    TROUBLE = "trouble"
    """{count, awake, ended, wait, boot, message, try_at}: turns in a row that an error of the endpoint broke off, or null."""
    LIMIT = "limit"
    """{message, reset_at, try_at, bead} or null."""
    ERRORS = "errors"
    """{awake, until, boot}: errors in a row that words followed, until the turn gets on or ends, or null."""
    LIMITS = "limits"
    """{count, turn}: turns in a row that a usage limit ended, or null."""
    LOGIN = "login"
    """{message, how} or null."""
    STOPPED = "stopped"
    """{by, reason} while a person wants it not to run, or null."""
    VERSION = "version"
    """{version, before}: what its CLI calls itself, and what it did at the start before it changed."""
    TOOLS = "tools"
    """{open: {id: name}, failed: [words]}: calls of this turn that are under way, and the last that failed."""
    CRASHES = "crashes"
    """{count, last, try_at}: ends without being asked to, since the last turn that ended."""
    LAST_WORDS = "last_words"
    """{text, session}: its process's newest line outside its protocol, which is where a CLI says why it ends."""
    SEEN = "seen"
    """{at}: a person looked at it after its last turn."""
    CONTEXT = "context"
    """{used, size, model, session, source}: tokens of its newest call's prompt, the window as its CLI tells it or null, and
    the CLI's session."""
