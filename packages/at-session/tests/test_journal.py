"""Journals: what is written is what is read, also after crashes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from at_session import holder_journal
from at_session import holder_wire as wire
from at_session.errors import JournalDamaged
from at_session.journal import (
    JournalReader,
    Record,
    RecordKind,
    RecordParser,
    ending,
    read_records,
    segments,
    written,
)

kinds = st.sampled_from([int(kind) for kind in RecordKind if kind is not RecordKind.STATE])
write_ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
contents = st.lists(st.tuples(kinds, st.binary(max_size=200), write_ids), max_size=20)
in_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def packed(entries: list[tuple[int, bytes, str]]) -> bytes:
    stream = b""
    for kind, data, write_id in entries:
        stream += wire.pack_record(len(stream), 5, kind, write_id.encode(), data)
    return stream


def taken(records: list[Record]) -> list[tuple[int, bytes, str]]:
    return [(int(record.kind), record.data, record.write_id or "") for record in records]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # as the holder does
    return tmp_path


def fill(
    folder: Path, entries: list[tuple[int, bytes, str]], segment: int = 1 << 20
) -> holder_journal.Journal:
    for path in folder.iterdir():
        path.unlink()
    journal = holder_journal.Journal(segment)
    for kind, data, write_id in entries:
        journal.append(kind, data, write_id.encode())
    assert not journal.held
    return journal


@given(contents, st.data())
def test_records_survive_any_split(entries: list[tuple[int, bytes, str]], data: st.DataObject) -> None:
    stream = packed(entries)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parser = RecordParser()
    found = [
        r for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) for r in parser.feed(stream[a:b])
    ]
    assert taken(found) == entries
    assert [record.offset for record in found[1:]] == [record.next for record in found[:-1]]
    assert parser.offset == len(stream)


@given(contents.filter(bool), st.data())
def test_a_changed_byte_is_detected(entries: list[tuple[int, bytes, str]], data: st.DataObject) -> None:
    stream = bytearray(packed(entries))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    parser = RecordParser()
    found: list[Record] = []
    with suppress(JournalDamaged):
        for byte in stream:
            found += parser.feed(bytes([byte]))
    assert taken(found) == entries[: len(found)]
    assert len(found) < len(entries) and parser.offset <= at


@in_folder
@given(contents, st.integers(1, 600), st.data())
def test_a_torn_tail_is_not_there(
    folder: Path, entries: list[tuple[int, bytes, str]], segment: int, data: st.DataObject
) -> None:
    journal = fill(folder, entries, segment)
    everything = list(read_records(folder))
    base, last = segments(folder)[-1]
    size = data.draw(st.integers(0, journal.end - base))
    with last.open("r+b") as file:
        file.truncate(size)
    found = list(read_records(folder))
    whole = [number for number, record in enumerate(everything) if record.next <= base + size]
    assert found == everything[: len(whole)]


@in_folder
@given(contents, st.integers(1, 600), st.data())
def test_reading_starts_at_any_record(
    folder: Path, entries: list[tuple[int, bytes, str]], segment: int, data: st.DataObject
) -> None:
    journal = fill(folder, entries, segment)
    everything = list(read_records(folder))
    assert taken(everything) == entries
    number = data.draw(st.integers(0, len(entries)))
    offset = everything[number].offset if number < len(entries) else journal.end
    assert list(read_records(folder, offset)) == everything[number:]
    assert JournalReader(folder, offset).read(offset) == []


@in_folder
@given(contents, st.integers(1, 300), st.integers(0, 5000))
def test_dropped_segments_are_a_gap(
    folder: Path, entries: list[tuple[int, bytes, str]], segment: int, below: int
) -> None:
    journal = fill(folder, entries, segment)
    everything = list(read_records(folder))
    journal.drop_below(below)
    first = journal.bases[0]
    assert first <= below or first == 0
    kept = list(read_records(folder))
    if first:
        assert kept[0].kind is RecordKind.GAP and kept.pop(0).gap() == (0, first)
    assert kept == [record for record in everything if record.offset >= first]


def test_damage_in_the_middle_is_a_gap_up_to_the_next_segment(folder: Path) -> None:
    fill(folder, [(wire.K_OUTPUT, b"%d" % n, "") for n in range(10)], segment=60)
    everything = list(read_records(folder))
    base, path = segments(folder)[1]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    found = list(read_records(folder))
    (gap,) = (record for record in found if record.kind is RecordKind.GAP)
    assert base <= gap.offset < gap.next == segments(folder)[2][0]
    assert [r for r in found if r is not gap] == [
        r for r in everything if not gap.offset <= r.offset < gap.next
    ]


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def lengthen_a_record(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4] += 100  # the first record claims more than there is
    path.write_bytes(content)


def put_garbage_first(path: Path) -> None:
    path.write_bytes(b"garbage" + path.read_bytes())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip_a_byte, lengthen_a_record, put_garbage_first, cut, Path.unlink])
def test_damage_below_the_known_end_is_an_error_where_nothing_follows(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    journal = fill(folder, [(wire.K_OUTPUT, b"%d" % n, "") for n in range(5)])
    damage(segments(folder)[-1][1])
    reader = JournalReader(folder)
    with pytest.raises(JournalDamaged):
        while reader.read(journal.end):
            pass
    reader.close()


def test_files_that_are_no_segments_are_left_alone(folder: Path) -> None:
    fill(folder, [(wire.K_OUTPUT, b"x", "")])
    for name in ("notes.seg", "0.seg", "zzzzzzzzzzzzzzzz.seg"):
        (folder / name).write_bytes(b"garbage")
    assert [base for base, _ in segments(folder)] == [0]


def test_a_reader_that_was_closed_goes_on(folder: Path) -> None:
    journal = fill(folder, [(wire.K_OUTPUT, b"one", "")])
    reader = JournalReader(folder)
    assert [record.data for record in reader.read(journal.end)] == [b"one"]
    journal.append(wire.K_OUTPUT, b"two")
    reader.close()
    assert [record.data for record in reader.read()] == [b"two"]
    reader.close()


def test_a_reader_goes_on_where_the_writer_does(folder: Path) -> None:
    journal = fill(folder, [], segment=100)
    reader = JournalReader(folder)
    found: list[Record] = []
    for number in range(40):
        journal.append(wire.K_OUTPUT, b"%d" % number * 7)
        if number % 3 == 0:
            while records := reader.read(journal.end):
                found += records
    journal.append(wire.K_END, b"")
    found += reader.read() + reader.read() + reader.read() + reader.read()
    reader.close()
    assert [record.data for record in found[:-1]] == [b"%d" % number * 7 for number in range(40)]


def test_write_ids_are_found_by_exact_match(folder: Path) -> None:
    entries = [(wire.K_INPUT, b"x", write_id) for write_id in ("a", "ab", "b:1", "1")]
    journal = fill(folder, entries, segment=10)
    offsets = {record.write_id: record.offset for record in read_records(folder)}
    journal.drop_below(journal.end)
    for write_id in ("a", "ab", "b:1", "1", "b", "0", "b:", "bb", "29"):
        assert written(folder, write_id) == offsets.get(write_id)
        assert journal.written(write_id.encode()) == str(offsets.get(write_id, "")).encode()


def test_an_id_is_known_although_the_holder_died_before_listing_it(folder: Path) -> None:
    fill(folder, [(wire.K_INPUT, b"x", "first"), (wire.K_INPUT, b"y", "second")])
    ids = folder / "ids"
    ids.write_bytes(ids.read_bytes().splitlines(keepends=True)[0])
    assert written(folder, "second") == [record.offset for record in read_records(folder)][1]


@pytest.mark.parametrize("complete", [True, False])
def test_the_ending_is_found_across_segments(folder: Path, complete: bool) -> None:
    tail = [(wire.K_OUTPUT, b"x" * 90, "")] * 3 + [(wire.K_END, b"", "")] * complete
    fill(folder, [(wire.K_EXIT, wire.EXIT_STATUS.pack(3, 0), ""), *tail], segment=100)
    status, found = ending(folder)
    assert status is not None and (status.code, status.signal, found) == (3, None, complete)
    assert ending(folder / "nothing") == (None, False)
