from __future__ import annotations

import json
import string
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from at_telemetry.redaction import MARK, SHORTEST_VALUE, Redactor, looks_secret

HEX = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978"
# Written in two halves, so that no scanner of repositories takes this table for a leak.
TOKENS = [
    "sk-" + "ant-api03-" + HEX,
    "sk-" + "proj_" + HEX,
    "sk-" + "or-v1-" + HEX,
    "gh" + "p_" + HEX[:36],
    "gh" + "s_" + HEX[:36],
    "github" + "_pat_11ABCDEFG0_" + HEX,
    "gl" + "pat-" + HEX[:20],
    "xox" + "b-1234567890-" + HEX[:24],
    "AK" + "IA" + "ABCDEFGHIJKLMNOP",
    "AI" + "za" + HEX[:35],
    "ya" + "29." + HEX,
    "hf" + "_" + HEX[:34],
    "np" + "m_" + HEX[:36],
    "ey" + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + HEX,
    "gs" + "k_" + HEX,
    "xa" + "i-" + HEX,
    "gl" + "sa_" + HEX[:32] + "_0f1e2d3c",
    "do" + "p_v1_" + HEX,
    "S" + "G." + HEX[:22] + "." + HEX[:43],
    "xa" + "pp-1-A0123456789-1234567890-" + HEX,
    "sh" + "pat_" + HEX[:32],
    "sh" + "pss_" + HEX[:32],
    "r" + "8_" + HEX[:37],
    "dckr" + "_pat_" + HEX[:27],
    "lin" + "_api_" + HEX[:40],
    "ATA" + "TT3xFfGF0" + HEX + "=0F1E2D3C",
]
KEY_BLOCK = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:7])
@pytest.mark.parametrize(
    "frame", ["{}", "key {} used", "'{}',", "https://host/{}?x", "a={};", "[{}]", "\n{}\n"]
)
def test_known_shapes_are_hidden(token: str, frame: str) -> None:
    out = Redactor().redact(frame.format(token))
    assert token not in out
    assert out == frame.format(MARK)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Authorization: Bearer hunter2hunter2", "Authorization: [redacted]"),
        ("authorization: Basic dXNlcjpwYXNz\r\nHost: x", "authorization: [redacted]\r\nHost: x"),
        ('Authorization: Digest username="M", response="66"', "Authorization: [redacted]"),
        ("{'Authorization': 'Bearer a', 'Host': 'x'}", "{'Authorization': [redacted], 'Host': 'x'}"),
        ('{"authorization": "Digest u=\\"M\\", r=1", "h": 1}', '{"authorization": [redacted], "h": 1}'),
        (
            "[(b'authorization', b'Bearer a'), (b'host', b'x')]",
            "[(b'authorization', [redacted]), (b'host', b'x')]",
        ),
        ("x-api-key: abc", "x-api-key: [redacted]"),
        ("Set-Cookie: id=abc; HttpOnly", "Set-Cookie: [redacted]"),
        ("sent bearer abcdef0123", "sent bearer [redacted]"),
        ("OPENAI_API_KEY=abc at", "OPENAI_API_KEY=[redacted] at"),
        ("ANTHROPIC_AUTH_TOKEN='a b' c", "ANTHROPIC_AUTH_TOKEN=[redacted] c"),
        ("{'api_key': 'a', 'n': 1}", "{'api_key': [redacted], 'n': 1}"),
        ('{"apiKey":"a","n":1}', '{"apiKey":[redacted],"n":1}'),
        ('"{\\"password\\": \\"a\\"}"', '"{\\"password\\": [redacted]'),
        ("password: hunter2, user: me", "password: [redacted], user: me"),
        ("PGPASSWORD=x psql", "PGPASSWORD=[redacted] psql"),
        ("claude --api-key abc -p x", "claude --api-key [redacted] -p x"),
        ("--token=abc", "--token=[redacted]"),
        ('token="never closed', "token=[redacted]"),
        ("https://me:hunter2@github.com/a", "https://[redacted]@github.com/a"),
        ("https://hunter2@github.com/a", "https://[redacted]@github.com/a"),
        ("postgres://u:p@ss@db:5432/x", "postgres://[redacted]@db:5432/x"),
        ("GET /v1?key=abc&alt=sse", "GET /v1?key=[redacted]&alt=sse"),
        ("export DB_PASS=hunter2", "export DB_PASS=[redacted]"),
        ("smtp_pass: hunter2", "smtp_pass: [redacted]"),
        ("SSHPASS=hunter2 sshpass -e ssh h", "SSHPASS=[redacted] sshpass -e ssh h"),
        ('{"REDIS_PW": "hunter2"}', '{"REDIS_PW": [redacted]}'),
        ("CI_TOKENS=abc SIGNING_KEYS=def", "CI_TOKENS=[redacted] SIGNING_KEYS=[redacted]"),
        ("AWS_CREDS='a b'", "AWS_CREDS=[redacted]"),
        ("JWT=abc", "JWT=[redacted]"),
        ("PWD=hunter2;", "PWD=[redacted];"),
        ("Server=h;Uid=me;Pwd=/x", "Server=h;Uid=me;Pwd=[redacted]"),
        (
            "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=ab+/c==;EndpointSuffix=x",
            "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=[redacted];EndpointSuffix=x",
        ),
        ("Endpoint=sb://x/;SharedAccessKey=ab/c=", "Endpoint=sb://x/;SharedAccessKey=[redacted]"),
        (
            "POST https://hooks.slack.com/services/T0/B0/abc to",
            "POST https://hooks.slack.com/services/[redacted] to",
        ),
        ("https://discord.com/api/webhooks/1/abc", "https://discord.com/api/webhooks/[redacted]"),
        ("sent Basic dXNlcjpodW50ZXIy now", "sent Basic [redacted] now"),
        ("curl -u me:hunter2 https://h", "curl -u [redacted] https://h"),
        ("curl -sSu 'me:a b' https://h", "curl -sSu [redacted] https://h"),
        ("curl --user me:hunter2 https://h", "curl --user [redacted] https://h"),
        ("curl -H 'a: b' -ume:hunter2 h", "curl -H 'a: b' -u[redacted] h"),
        ('["curl", "-u", "me:hunter2", "h"]', '["curl", "-u", [redacted], "h"]'),
        ("mysql -u root -phunter2 shop", "mysql -u root -p[redacted] shop"),
        ("mysqldump -h db -p'a b' shop", "mysqldump -h db -p[redacted] shop"),
        ("sshpass -p hunter2 ssh me@h", "sshpass -p [redacted] ssh me@h"),
        ("sshpass -phunter2 ssh me@h", "sshpass -p[redacted] ssh me@h"),
        ("redis-cli -h h -a hunter2 ping", "redis-cli -h h -a [redacted] ping"),
        ("docker login -u me -p hunter2 reg", "docker login -u me -p [redacted] reg"),
        (KEY_BLOCK, MARK),
        ("x " + KEY_BLOCK[:60], "x " + MARK),
    ],
)
def test_places_of_secrets(raw: str, clean: str) -> None:
    assert Redactor().redact(raw) == clean


@pytest.mark.parametrize(
    "text",
    [
        "input_tokens=12 cached_tokens=3 output_tokens=9",
        '{"total_tokens_today": 3870}',
        "token_count=5 tokenizer: fast",
        "branch at/task-5f3a-risk-management",
        "ssh://git@github.com/me/repo and git@github.com:me/repo",
        "merge 4f2a9c1e8b7d6a5f4e3d2c1b0a9f8e7d6c5b4a39",
        "bead 550e8400-e29b-41d4-a716-446655440000",
        "the key idea: keep it",
        "tests/test_api.py::test_login PASSED",
        "PASS: test_login  FAIL: test_logout  XPASS 3",
        "3 pass, 1 fail; first_pass=True bypass: on",
        "TEST_PASS=12 TEST_FAIL=0 MAX_OUTPUT_TOKENS=64000",
        "PWD=/home/me/src OLDPWD=/tmp env: {'PWD': '/home/me/src', 'LANG': 'C'}",
        "('PWD', '/home/me/src')",
        "keys = sorted(table.keys()); for key in keys: print(key)",
        "JWT: the signature has expired",
        "Basic authentication is used; basic understanding of base64",
        "/home/me/src/secrets/keys/pass.txt and ./tokens/index.ts",
        "docker run -u 1000:1000 -p 8080:80 image",
        "mkdir -p build && cp -p a b; mysql -p shop",
        "curl -o out.json https://h:8080/x | jq .",
        "SG. r8_x xai-lab gsk_ the lin_api_ prefix",
        "SORT: by keys; FOREIGN KEYS: on",
    ],
)
def test_ordinary_lines_stay(text: str) -> None:
    assert Redactor().redact(text) == text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("OPENAI_API_KEY", True),
        ("GH_TOKEN", True),
        ("CLAUDE_CODE_OAUTH_TOKEN", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("PGPASSWORD", True),
        ("MYSQL_PWD", True),
        ("NPM_AUTH", True),
        ("STRIPE_KEY", True),
        ("x-api-key", True),
        ("accessToken", True),
        ("PATH", False),
        ("PWD_PATH", True),
        ("SSH_AUTH_SOCK", False),
        ("MAX_OUTPUT_TOKENS", False),
        ("input_tokens", False),
        ("tokenCount", False),
        ("cache_key", False),
        ("AT_LOG", False),
        ("PWD", False),
        ("OLDPWD", False),
        ("DB_PASS", True),
        ("SMTP_PASS", True),
        ("SSHPASS", True),
        ("CI_TOKENS", True),
        ("SIGNING_KEYS", True),
        ("REDIS_PW", True),
        ("AWS_CREDS", True),
        ("JWT", True),
        ("SESSION_JWT", True),
        ("AZURE_STORAGE_CONNECTION_STRING", True),
        ("SLACK_WEBHOOK_URL", True),
        ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", False),
        ("MAX_THINKING_TOKENS", False),
        ("BYPASS", False),
        ("COMPASS", False),
        ("MONKEYS", False),
        ("keys", False),
        ("tests_pass", False),
    ],
)
def test_secret_names(name: str, secret: bool) -> None:
    assert looks_secret(name) is secret


def test_environment_values_are_known_by_heart_in_every_written_form() -> None:
    sink = Redactor()
    value = 'correct "horse"\nbattery/staple é'
    sink.learn({"DB_PASSWORD": value, "HOME": "/home/me", "TINY_TOKEN": "abc"})
    for form in (value, repr(value), json.dumps(value), quote(value, safe="")):
        assert "battery" not in sink.redact(f"x{form}y")
    assert sink.redact("/home/me abc") == "/home/me abc"
    assert sink.longest >= len(value)


def test_long_values_are_hidden_before_their_own_beginnings() -> None:
    sink = Redactor()
    sink.learn_values(["abcdef", "abcdefghij"])
    assert sink.redact("abcdefghij") == MARK


def test_what_is_remembered_is_judged_anew_after_learning() -> None:
    sink = Redactor()
    assert sink.redact_recurring("hunter2-agent") == "hunter2-agent"
    sink.learn_values(["hunter2"])
    assert sink.redact_recurring("hunter2-agent") == "[redacted]-agent"
    for number in range(3_000):
        assert sink.redact_recurring(f"name-{number}") == f"name-{number}"


AROUND = st.text(
    alphabet=string.ascii_letters + string.digits + " \t\n\"'\\{}[](),;:=@/?&%$-_.é\x1b\u202e", max_size=60
)


@given(before=AROUND, after=AROUND, secret=st.text(min_size=SHORTEST_VALUE, max_size=40))
def test_a_learnt_value_never_comes_out(before: str, after: str, secret: str) -> None:
    assume(secret not in MARK and secret not in before + after)
    sink = Redactor()
    sink.learn({"ANY_SECRET": secret})
    assume(secret not in before + MARK + after)
    assert secret not in sink.redact(before + secret + after)


@given(before=AROUND, after=AROUND, token=st.sampled_from(TOKENS))
def test_a_token_never_comes_out(before: str, after: str, token: str) -> None:
    assume(not before or not (before[-1].isascii() and before[-1].isalnum()))
    assert token not in Redactor().redact(before + token + after)


@given(
    before=AROUND,
    name=st.sampled_from(
        ["api_key", "OPENAI_API_KEY", "password", "client_secret", "authorization", "accessToken"]
    ),
    between=st.sampled_from(["=", ": ", '": "', "': '", '=\\"', "='"]),
    value=st.text(alphabet=string.ascii_letters + string.digits, min_size=12, max_size=40),
)
def test_an_assigned_value_never_comes_out(before: str, name: str, between: str, value: str) -> None:
    assume(value not in before)
    assert value not in Redactor().redact(before + " " + name + between + value + " end")


@given(AROUND, AROUND)
def test_redacting_twice_changes_nothing_more(before: str, after: str) -> None:
    sink = Redactor()
    once = sink.redact(before + " password=abc https://a:b@c " + after)
    assert sink.redact(once) == once


@pytest.mark.parametrize(
    "part",
    ["token", "a", "sk-", "://", "@", 'token="', "token=\\", "authorization", "-----BEGIN PRIVATE KEY-----", "eyJ",
     "--", "bearer ", "api_", "?key=", "=", "'password', '", "eyJabcdefgh.", "A_", "A", "A_TOKENS", "Basic ", "Basic A",
     "curl ", "curl -u", "curl -u a:", "mysql -p ", "sshpass ", "docker login ", "hooks.slack.com/services/", "SG.A",
     "db_pass"],
)  # fmt: skip
def test_bait_for_backtracking_takes_linear_time(part: str) -> None:
    """A pattern of quadratic cost would need many minutes here; the time-out of the test run is the judge."""
    text = part * (200_000 // len(part))
    assert isinstance(Redactor().redact(text), str)
