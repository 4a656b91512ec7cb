from __future__ import annotations

from services.cluster.outage import Contact, Outage

GRACE = 15.0


def test_all_is_well_without_an_outage() -> None:
    outage = Outage(GRACE)
    assert outage.lenience_seconds(0) == 0
    outage.answered(1)
    assert outage.lenience_seconds(500) == 0


def test_a_record_may_be_as_old_as_the_outage_was_long_until_all_could_renew() -> None:
    outage = Outage(GRACE)
    outage.answered(99)
    outage.failed(101)
    outage.failed(110)
    assert outage.lenience_seconds(119) == 20
    outage.answered(119)
    assert outage.lenience_seconds(119) == 20
    assert outage.lenience_seconds(119 + GRACE - 0.1) == 20
    assert outage.lenience_seconds(119 + GRACE) == 0


def test_outages_one_after_the_other_are_one() -> None:
    outage = Outage(GRACE)
    outage.answered(100)
    outage.failed(101)
    outage.answered(120)
    outage.failed(122)
    outage.answered(140)
    assert outage.lenience_seconds(141) == 40


def test_who_asks_seldom_does_not_count_its_own_silence() -> None:
    outage = Outage(GRACE)
    outage.answered(100)
    outage.failed(5000)
    outage.answered(5004)
    assert outage.lenience_seconds(5004) == GRACE + 4


def test_an_outage_at_the_start_is_one() -> None:
    outage = Outage(GRACE)
    outage.failed(1000)
    outage.answered(1003)
    assert outage.lenience_seconds(1003) == GRACE + 3


def test_contact_is_long_only_without_a_long_gap() -> None:
    contact = Contact(10)
    assert [contact.is_long(now) for now in (0, 5, 9)] == [False] * 3
    assert contact.is_long(10)
    assert contact.is_long(20)
    assert not contact.is_long(31)
    assert not contact.is_long(40)
    assert contact.is_long(41)
