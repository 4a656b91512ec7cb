from __future__ import annotations

from pathlib import Path

from services.finetune.journal import EventKind, Journal, JournalReader, newest_event_id


def append(journal: Journal, *steps: int) -> None:
    for step in steps:
        journal.append(EventKind.METRICS, {"step": step})


def test_a_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    journal, reader = Journal(tmp_path), JournalReader(tmp_path)
    assert list(reader.read()) == []
    append(journal, 1, 2)
    assert [entry.data["step"] for entry in reader.read()] == [1, 2]
    append(journal, 3)
    assert [entry.data["step"] for entry in reader.read()] == [3]
    assert list(reader.read()) == []


def test_ids_grow_over_attempts_and_half_a_line_is_dropped(tmp_path: Path) -> None:
    append(Journal(tmp_path), 1, 2)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"event_id":3,"eve')
    reader = JournalReader(tmp_path, after_id=1)
    assert [entry.event_id for entry in reader.read()] == [2]
    append(Journal(tmp_path), 2)
    assert [(entry.event_id, entry.data["step"]) for entry in reader.read()] == [(3, 2)]


def test_the_tail_of_a_long_journal_is_found(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    padding = "x" * 300_000
    for step in range(1, 11):
        journal.append(EventKind.METRICS, {"step": step, "padding": padding})
    journal.append(EventKind.LOG, {"text": "x" * 1_500_000})  # longer than what is read at once
    append(journal, 12)
    reader = JournalReader(tmp_path, after_id=9)
    found: list[int] = []
    while entries := reader.read():
        found += [entry.event_id for entry in entries]
    assert found == [10, 11, 12]


def test_a_run_that_said_nothing_has_no_events(tmp_path: Path) -> None:
    assert JournalReader(tmp_path / "none").read() == ()


def test_the_newest_id_is_that_of_the_last_whole_line(tmp_path: Path) -> None:
    assert newest_event_id(tmp_path) == 0
    append(Journal(tmp_path), 1)
    assert newest_event_id(tmp_path) == 1
    append(Journal(tmp_path), 2)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"event_id":3,"eve')
    assert newest_event_id(tmp_path) == 2
