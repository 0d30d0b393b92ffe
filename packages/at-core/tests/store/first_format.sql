-- A store of the first format, dumped with sqlite3's iterdump. Never edited: it stands for files that exist.
BEGIN TRANSACTION;
CREATE TABLE agents (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	cli_type TEXT NOT NULL, 
	model TEXT, 
	status TEXT NOT NULL, 
	rig TEXT, 
	pid INTEGER, 
	session_id TEXT, 
	created_at TEXT NOT NULL, 
	last_seen TEXT, 
	metadata TEXT, 
	revision INTEGER NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (name), 
	UNIQUE (id)
);
INSERT INTO "agents" VALUES(1,'11111111-6d0f-4f0e-9d5a-0a1b2c3d4e5f','rust','polecat','demo',NULL,'idle',NULL,NULL,NULL,'2026-01-02T03:04:05.000000Z',NULL,'{"a":[1]}',0);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE asks (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	agent_id TEXT NOT NULL, 
	bead_id TEXT, 
	session TEXT NOT NULL, 
	request_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	what TEXT NOT NULL, 
	tool TEXT, 
	argv TEXT, 
	asked_at TEXT NOT NULL, 
	approve INTEGER, 
	answer TEXT NOT NULL, 
	decided_by TEXT, 
	decided_at TEXT, 
	closed_at TEXT, 
	withdrawn INTEGER NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (session, request_id), 
	UNIQUE (id)
);
CREATE TABLE beads (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	title TEXT NOT NULL, 
	description TEXT, 
	status TEXT NOT NULL, 
	lane TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	agent_id TEXT, 
	convoy_id TEXT, 
	rig TEXT, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	hooked_at TEXT, 
	slung_at TEXT, 
	done_at TEXT, 
	git_branch TEXT, 
	metadata TEXT, 
	revision INTEGER NOT NULL, 
	rank INTEGER GENERATED ALWAYS AS (-(priority * 4 + CASE lane WHEN 'critical' THEN 2 WHEN 'standard' THEN 1 ELSE 0 END)) VIRTUAL, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
INSERT INTO "beads" VALUES(1,'8c5b7c1e-6d0f-4f0e-9d5a-0a1b2c3d4e5f','An old bead',NULL,'hooked','standard',1,NULL,NULL,NULL,'2026-01-02T03:04:05.000000Z','2026-01-02T03:04:06.000000Z','2026-01-02T03:04:06.000000Z',NULL,NULL,NULL,NULL,3);
CREATE TABLE convoys (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT, 
	lane TEXT NOT NULL, 
	status TEXT NOT NULL, 
	progress FLOAT NOT NULL, 
	created_at TEXT NOT NULL, 
	started_at TEXT, 
	completed_at TEXT, 
	metadata TEXT, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
CREATE TABLE events (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	event_type TEXT NOT NULL, 
	actor TEXT, 
	bead_id TEXT, 
	agent_id TEXT, 
	rig TEXT, 
	lane TEXT, 
	payload TEXT, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "events" VALUES(1,'22222222-6d0f-4f0e-9d5a-0a1b2c3d4e5f','bead.added',NULL,NULL,NULL,NULL,NULL,NULL,'2026-01-02T03:04:05.000000Z');
CREATE TABLE facts (
	subject TEXT NOT NULL, 
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	source TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (subject, name)
)
 WITHOUT ROWID

;
CREATE TABLE gate_results (
	number INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	command TEXT NOT NULL, 
	tree TEXT NOT NULL, 
	ok INTEGER NOT NULL, 
	exit_code INTEGER, 
	seconds FLOAT NOT NULL, 
	log TEXT NOT NULL, 
	output TEXT NOT NULL, 
	rig TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (rig, tree, name, command)
);
CREATE TABLE intents (
	number INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	bead_id TEXT, 
	agent_id TEXT, 
	payload TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	not_before TEXT, 
	error TEXT, 
	created_at TEXT NOT NULL, 
	finished_at TEXT, 
	PRIMARY KEY (number), 
	UNIQUE ("key")
);
CREATE TABLE kpi (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	beads_active INTEGER NOT NULL, 
	beads_completed INTEGER NOT NULL, 
	beads_failed INTEGER NOT NULL, 
	agents_active INTEGER NOT NULL, 
	convoys_active INTEGER NOT NULL, 
	total_cost_today FLOAT NOT NULL, 
	total_tokens_today INTEGER NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
CREATE TABLE leases (
	name TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	boot_id TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	expires FLOAT NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
CREATE TABLE mail (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	from_agent TEXT NOT NULL, 
	to_agent TEXT NOT NULL, 
	subject TEXT, 
	body TEXT NOT NULL, 
	read_at TEXT, 
	created_at TEXT NOT NULL, 
	metadata TEXT, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
CREATE TABLE messages (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	agent_id TEXT NOT NULL, 
	bead_id TEXT, 
	kind TEXT NOT NULL, 
	body TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	sent_at TEXT, 
	accepted_at TEXT, 
	started_at TEXT, 
	answered_at TEXT, 
	failed TEXT, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
CREATE TABLE rigs (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	path TEXT NOT NULL, 
	target TEXT NOT NULL, 
	trusted TEXT, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (name), 
	UNIQUE (id), 
	UNIQUE (path)
);
CREATE TABLE rules (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	rig TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	tool TEXT, 
	argv TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
CREATE TABLE sessions (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	agent_id TEXT NOT NULL, 
	bead_id TEXT, 
	cli TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	launch TEXT NOT NULL, 
	"offset" INTEGER NOT NULL, 
	driver_state TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	ended_at TEXT, 
	exit_code INTEGER, 
	exit_signal INTEGER, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
CREATE TABLE usage (
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	agent_id TEXT, 
	bead_id TEXT, 
	model TEXT NOT NULL, 
	input_tokens INTEGER NOT NULL, 
	cached_tokens INTEGER NOT NULL, 
	output_tokens INTEGER NOT NULL, 
	cost_usd FLOAT, 
	requests INTEGER, 
	duration_ms INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
CREATE INDEX beads_by_rig ON beads (rig, status, rank, created_at);
CREATE INDEX beads_by_status ON beads (status, rank, created_at);
CREATE INDEX beads_by_title ON beads (title);
CREATE INDEX mail_by_receiver ON mail (to_agent, read_at);
CREATE INDEX events_by_agent ON events (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX events_by_bead ON events (bead_id) WHERE bead_id IS NOT NULL;
CREATE INDEX intents_open ON intents (number) WHERE state = 'open';
CREATE INDEX messages_by_agent ON messages (agent_id);
CREATE INDEX messages_by_bead ON messages (bead_id);
CREATE INDEX asks_by_agent ON asks (agent_id);
CREATE INDEX asks_by_bead ON asks (bead_id);
CREATE INDEX asks_open ON asks (number) WHERE decided_at IS NULL AND closed_at IS NULL;
CREATE INDEX sessions_by_agent ON sessions (agent_id);
CREATE INDEX sessions_by_bead ON sessions (bead_id);
CREATE INDEX sessions_live ON sessions (number) WHERE ended_at IS NULL;
CREATE INDEX usage_by_agent ON usage (agent_id);
CREATE INDEX usage_by_bead ON usage (bead_id);
CREATE INDEX usage_by_time ON usage (created_at);
CREATE INDEX rules_by_rig ON rules (rig);
COMMIT;
