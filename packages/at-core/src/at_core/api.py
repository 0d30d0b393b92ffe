"""The API's route table: server, client and OpenAPI document are all made from it.

Requests are the dataclasses of `at_core.requests`, which may also be imported from here; they are loaded when they are
needed. Responses are the JSON documents of the command contract.
Everything is relative to the Unix socket of the home folder; errors are `{"error": {"code", "message", "hint",
"exit_code"}}` with a 4xx or 5xx status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from at_core.route import Answer, Route

if TYPE_CHECKING:
    from at_core.requests import (
        AddRequest,
        AdoptRequest,
        AfterRequest,
        AtticRestoreRequest,
        BudgetRequest,
        CommentRequest,
        DecideRequest,
        DoneRequest,
        DownRequest,
        Environment,
        HookRequest,
        InitRequest,
        LandRequest,
        LandSeveralRequest,
        LookedRequest,
        NudgeRequest,
        Order,
        PullRequestRequest,
        PushRequest,
        RemoveRulesRequest,
        RenameRequest,
        Request,
        ResumeRequest,
        RetryRequest,
        RunRequest,
        SeenCheck,
        SeenComment,
        SendBackRequest,
        SlingRequest,
        TextRequest,
        TidyRequest,
        TrustRequest,
        UndoRequest,
    )

__all__ = [
    "BY_NAME",
    "MAX_BODY_BYTES",
    "PROTOCOL",
    "ROUTES",
    "AddRequest",
    "AdoptRequest",
    "AfterRequest",
    "Answer",
    "AtticRestoreRequest",
    "BudgetRequest",
    "CommentRequest",
    "DecideRequest",
    "DoneRequest",
    "DownRequest",
    "Environment",
    "HookRequest",
    "InitRequest",
    "LandRequest",
    "LandSeveralRequest",
    "LookedRequest",
    "NudgeRequest",
    "Order",
    "PullRequestRequest",
    "PushRequest",
    "RemoveRulesRequest",
    "RenameRequest",
    "Request",
    "ResumeRequest",
    "RetryRequest",
    "Route",
    "RunRequest",
    "SeenCheck",
    "SeenComment",
    "SendBackRequest",
    "SlingRequest",
    "TextRequest",
    "TidyRequest",
    "TrustRequest",
    "UndoRequest",
]

PROTOCOL = 1
"""Counted up when a face of the old kind can no longer talk to a new daemon."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Limit of a request's body. A prompt of 2 MB takes up to 12 MB as JSON, where a control character is six bytes."""


def __getattr__(name: str) -> Any:
    if name.startswith("_") or not name[:1].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from at_core import requests

    try:
        return getattr(requests, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


ROUTES: tuple[Route, ...] = (
    Route("health", "GET", "/v1/health", "Who answers: {ok, pid, version, protocol}."),
    Route("openapi", "GET", "/v1/openapi.json", "This table as an OpenAPI 3.1 document."),
    Route("status", "GET", "/v1/status", "The status document.", query=(("path", str),)),
    Route(
        "status_text",
        "GET",
        "/v1/status.txt",
        "The status as lines of text.",
        query=(("path", str), ("color", int), ("width", int)),
        answer=Answer.TEXT,
    ),
    Route(
        "short",
        "GET",
        "/v1/short",
        "{needs, working, waiting, text}: the counts of a prompt's line, from what is on record; no label is computed.",
        query=(("path", str),),
    ),
    Route(
        "short_text",
        "GET",
        "/v1/short.txt",
        "That line alone, empty if there is nothing to say; `tmux`: with its colours.",
        query=(("path", str), ("tmux", int)),
        answer=Answer.TEXT,
    ),
    Route(
        "top",
        "GET",
        "/v1/top",
        "{rig, rig_name, agents: [agent with bead_status, began_at, ended_at, cost_usd, cost_estimated, last], needs, "
        "seq}: what the live screen shows.",
        query=(("path", str),),
    ),
    Route(
        "init",
        "POST",
        "/v1/rigs",
        "Make a repository a rig: {rig, branch, base, gates, notes}.",
        "InitRequest",
    ),
    Route(
        "trust",
        "POST",
        "/v1/rigs/trust",
        "Show or accept the settings file: {file, hash, content, trusted}.",
        "TrustRequest",
    ),
    Route(
        "beads",
        "GET",
        "/v1/beads",
        "{beads: [bead]}.",
        query=(("path", str), ("status", str), ("limit", int)),
    ),
    Route(
        "stale",
        "GET",
        "/v1/stale",
        "{stale: [{kind, bead, title, status, agent, path, since, seconds, reason, acts}], after_seconds}: what nobody "
        "touched for `seconds` (else as `general.stale_days` says), longest first; `acts` are the commands that end it.",
        query=(("path", str), ("seconds", int), ("status", str)),
    ),
    Route("add", "POST", "/v1/beads", "Bead document of a new bead.", "AddRequest", takes_id=True),
    Route("run", "POST", "/v1/run", "Bead document of a bead that is started.", "RunRequest", takes_id=True),
    Route(
        "adopt",
        "POST",
        "/v1/adopt",
        "Bead document of a bead that begins as a person's checkout is, and goes on in their session.",
        "AdoptRequest",
        takes_id=True,
    ),
    Route("hook", "POST", "/v1/hook", "Bead document.", "HookRequest"),
    Route("sling", "POST", "/v1/sling", "Bead document.", "SlingRequest"),
    Route("show", "GET", "/v1/beads/{bead}", "Bead document.", query=(("path", str),)),
    Route(
        "story",
        "GET",
        "/v1/beads/{bead}/story",
        "{bead, story: [turn | {kind, at, text, by, ok}]}: what was asked, said, done and decided; with `whole` each "
        "turn {kind, number, at, ended_at, seconds, outcome, error, prompts, counts, spent} has its `steps`.",
        query=(("path", str), ("whole", int)),
    ),
    Route(
        "wait",
        "GET",
        "/v1/beads/{bead}/wait",
        "Bead document with {settled, exit_code}; answers at once if settled or something changed after `after`, "
        "else when it does or after `seconds` (at most 30).",
        query=(("path", str), ("after", int), ("seconds", float)),
    ),
    Route(
        "diff",
        "GET",
        "/v1/beads/{bead}/diff",
        "The change as a patch; with `head` only if that still is its newest commit.",
        query=(("path", str), ("since_seen", int), ("color", int), ("stat", int), ("head", str)),
        answer=Answer.BYTES,
    ),
    Route(
        "change",
        "GET",
        "/v1/beads/{bead}/change",
        "{bead, repository, from, head, base, since: {seen, how, conflicts} | null, comments}: what `diff` compares.",
        query=(("path", str), ("since_seen", int)),
    ),
    Route(
        "looked",
        "POST",
        "/v1/beads/{bead}/looked",
        "{bead, head}; a person was shown the change up to `head`.",
        "LookedRequest",
    ),
    Route(
        "comments",
        "GET",
        "/v1/beads/{bead}/comments",
        "{bead, comments: [comment]}: what was said about lines of its work, sent or open.",
        query=(("path", str),),
    ),
    Route(
        "comment",
        "POST",
        "/v1/beads/{bead}/comments",
        "{bead, comment}; kept until `send_back`.",
        "CommentRequest",
    ),
    Route(
        "remove_comment", "DELETE", "/v1/beads/{bead}/comments/{number}", "{bead, removed}; one that is open."
    ),
    Route(
        "send_back",
        "POST",
        "/v1/beads/{bead}/send-back",
        "Bead document; the agent goes on with `text` and the comments that were not sent yet.",
        "SendBackRequest",
    ),
    Route("land", "POST", "/v1/beads/{bead}/land", "Bead document; let it merge.", "LandRequest"),
    Route(
        "land_several",
        "POST",
        "/v1/land",
        "{results: [{bead: bead document} | {error: {code, message, hint, exit_code}}]} in the order asked for.",
        "LandSeveralRequest",
    ),
    Route(
        "push",
        "POST",
        "/v1/beads/{bead}/push",
        "{bead, repository, remote: {name, url}, branch, head, base, title, body, pushed, already, notes, known}: its "
        "branch brought to a remote, and what its pull request is to say.",
        "PushRequest",
    ),
    Route(
        "pull_request",
        "POST",
        "/v1/beads/{bead}/pull-request",
        "{bead, new, pull_request, comments, status}; keeps what was seen of its pull request, `comments` wait to be sent.",
        "PullRequestRequest",
    ),
    Route(
        "landable",
        "GET",
        "/v1/landable",
        "{beads: [{id, title, lane, priority, head, files, insertions, deletions, unread, must_read}]}: proved work of "
        "one repository that nobody has let land, in the order in which it is to land; `unread` is never, changed, commented or null.",
        query=(("path", str),),
    ),
    Route("retry", "POST", "/v1/beads/{bead}/retry", "Bead document; begin again.", "RetryRequest"),
    Route(
        "done",
        "POST",
        "/v1/beads/{bead}/done",
        "Bead document; hand in, or record a person's override.",
        "DoneRequest",
    ),
    Route(
        "after",
        "POST",
        "/v1/beads/{bead}/after",
        "{bead, after: [bead], followers: [bead]}; what has to land before it begins, changed or only told.",
        "AfterRequest",
    ),
    Route("rename", "POST", "/v1/beads/{bead}/title", "Bead document; its title.", "RenameRequest"),
    Route(
        "budget",
        "POST",
        "/v1/beads/{bead}/budget",
        "Bead document; what it may use from now on.",
        "BudgetRequest",
    ),
    Route(
        "remove",
        "DELETE",
        "/v1/beads/{bead}",
        "{removed, attic, act}; the work is on a hidden ref, and `act` can be taken back.",
    ),
    Route(
        "undo",
        "POST",
        "/v1/undo",
        "Bead document with {undone: act}: a destructive act taken back.",
        "UndoRequest",
    ),
    Route(
        "attic",
        "GET",
        "/v1/attic",
        "{entries: [entry], not_shown}, newest first: what was kept before something was removed; `bead` is an id, a prefix "
        "of one, or a title.",
        query=(("path", str), ("bead", str), ("limit", int)),
    ),
    Route(
        "attic_entry",
        "GET",
        "/v1/attic/entry",
        "{entry}: one of them with all that is known of it.",
        query=(("path", str), ("entry", str)),
    ),
    Route(
        "attic_diff",
        "GET",
        "/v1/attic/diff",
        "What it differs in from the base of its bead, as a patch.",
        query=(("path", str), ("entry", str), ("stat", int), ("color", int)),
        answer=Answer.BYTES,
    ),
    Route(
        "attic_restore",
        "POST",
        "/v1/attic/restore",
        "{entry, folder, branch, notes}: put where nothing is yet.",
        "AtticRestoreRequest",
    ),
    Route(
        "destructive_acts",
        "GET",
        "/v1/undo",
        "{acts: [{id, kind, bead_id, title, at, attic, undone_at, why_not}]}, newest first; `why_not` is null where it can be "
        "taken back.",
        query=(("path", str), ("limit", int)),
    ),
    Route(
        "leftovers",
        "GET",
        "/v1/leftovers",
        "{leftovers: [{key, kind, path, repository, ref, sha, bytes, reason}], bytes, days}: what may go, with its refs in "
        "the repository of `path`, else in all; never the only copy of work.",
        query=(("path", str),),
    ),
    Route(
        "tidy",
        "POST",
        "/v1/tidy",
        "{leftovers, bytes, days, left: [leftover with error]}: what went of that, by key, if it still could.",
        "TidyRequest",
    ),
    Route(
        "folder",
        "GET",
        "/v1/beads/{bead}/folder",
        "{path, branch, environment}; `environment` are the marks of its slot.",
    ),
    Route(
        "agents", "GET", "/v1/agents", "{agents: [agent], not_shown}.", query=(("path", str), ("all", int))
    ),
    Route("nudge", "POST", "/v1/agents/{agent}/nudge", "{message: {id, receipt, times}}.", "NudgeRequest"),
    Route("stop", "POST", "/v1/agents/{agent}/stop", "{agent}; bead and work stay.", "TextRequest"),
    Route("resume", "POST", "/v1/agents/{agent}/resume", "{agent}.", "ResumeRequest"),
    Route("resume_all", "POST", "/v1/resume", "{agents: [agent]}.", "ResumeRequest"),
    Route(
        "session",
        "GET",
        "/v1/agents/{agent}/session",
        "{session, run_dir, journal_dir, transport, live, agent, bead, title}: what attach needs to talk to the holder itself.",
    ),
    Route(
        "logs",
        "GET",
        "/v1/agents/{agent}/logs",
        "{lines: [{at, kind, text}], next, agent, bead, title}: the transcript from `after` on; "
        "`follow` waits up to `seconds` for more.",
        query=(("after", int), ("limit", int), ("follow", int), ("seconds", float)),
    ),
    Route(
        "terminal", "GET", "/v1/agents/{agent}/terminal", "Screen and keys of an agent.", answer=Answer.SOCKET
    ),
    Route(
        "costs",
        "GET",
        "/v1/costs",
        "{by, since, until, rows: [usage], total, landed, budgets: [budget], unreported}; "
        "`by` is bead, agent, cli, model or day, `since` a date or a number of days (`7d`).",
        query=(("by", str), ("since", str)),
    ),
    Route(
        "approvals",
        "GET",
        "/v1/approvals",
        "{approvals: [ask]}, of one agent if named.",
        query=(("agent", str),),
    ),
    Route(
        "needs",
        "GET",
        "/v1/needs",
        "{needs: [{kind, bead, title, agent, reason, acts, ask, blocks, since}]}: what only a person can decide, in "
        "the order in which it keeps others from going on; with `seconds` it waits so long (at most 30) for the first.",
        query=(("path", str), ("seconds", float)),
    ),
    Route(
        "interruptions",
        "GET",
        "/v1/interruptions",
        "{since, until, interruptions: [{id, kind, bead, title, agent, ask, reason, opened_at, closed_at, seconds, "
        "outcome, act}], counts, landed}: what persons were wanted for; `since` as for costs.",
        query=(("since", str),),
    ),
    Route("decide", "POST", "/v1/approvals/{ask}", "{approval: ask}.", "DecideRequest"),
    Route(
        "rules",
        "GET",
        "/v1/rules",
        "{rules: [{id, rig, repository, kind, tool, argv, what, created_at, created_by, ask, agent}]}: standing answers.",
    ),
    Route("remove_rules", "POST", "/v1/rules/remove", "{removed: [rule]}.", "RemoveRulesRequest"),
    Route(
        "explain",
        "GET",
        "/v1/explain/{name}",
        "{label, status, reasons, facts: [{fact, source, at, value}]}.",
    ),
    Route(
        "events",
        "GET",
        "/v1/events",
        "{events: [event], last_seq}; `last_seq` is the newest of the whole log, whatever was asked for. "
        "Where there is none behind `after`, it waits for one, for `seconds` (at most 30; 0 unless given).",
        query=(("after", int), ("limit", int), ("bead", str), ("agent", str), ("seconds", float)),
    ),
    Route(
        "event_stream",
        "GET",
        "/v1/events/stream",
        "Events as they happen, one `data:` line of JSON each, `id:` its seq; resumes after Last-Event-ID or `after`.",
        query=(("after", int),),
        answer=Answer.EVENTS,
    ),
    Route("down", "POST", "/v1/down", "{stopped: [name]}; the daemon ends after it answered.", "DownRequest"),
)

BY_NAME = {route.name: route for route in ROUTES}
