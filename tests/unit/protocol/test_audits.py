from collections import Counter
from hashlib import sha256

import pytest
from eth_account.messages import encode_typed_data

from protocol.audits import (
    FIRST_TICKETS,
    SECOND_TICKETS,
    auditor_of,
    diverge,
    draw_block,
    draw_jury,
    is_audited,
    jury_randomness,
    members_of,
)
from protocol.errors import InvalidRound
from protocol.messages import finding_typed_data
from protocol.rounds import InputEntry, trace_root

RANDOM = sha256(b"random").digest()


def entry(seat, weight=1000):
    digest = sha256(b"entry %d" % seat).digest()
    return InputEntry(
        trainer="0x" + digest[:20].hex(),
        seat=seat,
        weight=weight,
        update_root=digest,
        header_hash=digest,
    )


def entry_of(case, unhex):
    return InputEntry(
        trainer=case["trainer"],
        seat=case["seat"],
        weight=case["weight"],
        update_root=unhex(case["update_root"]),
        header_hash=unhex(case["header_hash"]),
    )


def test_draws_give_the_vectors(vectors, unhex):
    file = vectors["audits"]
    randomness = unhex(file["randomness"])
    roll = [entry_of(case, unhex) for case in file["roll"]]
    for case in file["audited"]:
        bps = case["audit_bps"]
        drawn = [
            seat
            for seat in range(256)
            if is_audited(randomness=randomness, seat=seat, audit_bps=bps)
        ]
        assert drawn == case["result"]
    for case in file["auditors"]:
        some = [e for e in roll if e.seat in (case["seat"], *case["others"])]
        auditor = auditor_of(randomness=randomness, roll=some, seat=case["seat"])
        assert (None if auditor is None else auditor.seat) == case["result"]
    for case in file["draw_blocks"]:
        assert draw_block(frozen_at=case["frozen_at"], newest=case["newest"]) == case["result"]
    for case in file["juries"]:
        trial, level = int(case["trial"]), case["level"]
        own = jury_randomness(draw=randomness, trial=trial, level=level)
        assert own == unhex(case["randomness"])
        members = [e for e in roll if e.seat in case["members"]]
        seated = draw_jury(randomness=own, members=members, level=level)
        assert [[j.entry.seat, j.tickets] for j in seated] == case["result"]


def test_traces_give_the_vectors(vectors, unhex):
    for case in vectors["audits"]["traces"]:
        accused = ([unhex(d) for d in case["accused"]], unhex(case["accused_update"]))
        accuser = ([unhex(d) for d in case["accuser"]], unhex(case["accuser_update"]))
        assert trace_root(*accused) == unhex(case["accused_root"])
        assert trace_root(*accuser) == unhex(case["accuser_root"])
        found = diverge(
            accused=accused[0],
            accused_update=accused[1],
            accuser=accuser[0],
            accuser_update=accuser[1],
        )
        expected = case["result"]
        if expected is None:
            assert found is None
            continue
        assert found.index == expected["index"]
        for name in ("before", "accused", "accuser"):
            assert getattr(found, name) == unhex(expected[name])


def test_findings_give_the_vectors(vectors, unhex):
    for case in vectors["audits"]["findings"]:
        expected = case["typed_data"]
        message, domain = expected["message"], expected["domain"]
        data = finding_typed_data(
            chain_id=domain["chainId"],
            court=domain["verifyingContract"],
            run=message["run"],
            round_id=int(message["round"]),
            seat=int(message["seat"]),
            update_root=unhex(message["updateRoot"]),
            finding=int(message["finding"]),
        )
        shown = {name: str(value) for name, value in data["message"].items()}
        assert data | {"message": shown} == expected
        assert encode_typed_data(full_message=data).body == unhex(case["struct_hash"])


def test_nobody_audits_itself_and_weight_decides_who_does():
    roll = [entry(0, 6000), entry(1, 3000), entry(2, 0), entry(3, 1000)]
    seen = Counter()
    for i in range(2000):
        randomness = sha256(b"%d" % i).digest()
        auditor = auditor_of(randomness=randomness, roll=roll, seat=3)
        seen[auditor.seat] += 1
    assert set(seen) == {0, 1}
    assert 1200 < seen[0] < 1460


def test_the_rate_is_the_share_of_the_audited():
    count = sum(
        is_audited(randomness=sha256(b"%d" % i).digest(), seat=7, audit_bps=1000)
        for i in range(4000)
    )
    assert 330 < count < 470


def test_a_jury_has_all_its_tickets_and_no_side():
    roll = [entry(seat) for seat in range(8)]
    members = members_of(
        roll=roll,
        class_of=dict.fromkeys(range(8), b"class") | {5: b"other"},
        class_id=b"class",
        accused=1,
        accuser=roll[2].trainer.upper().replace("0X", "0x"),
        convicted=[6],
    )
    assert [e.seat for e in members] == [0, 3, 4, 7]
    for level, tickets in ((0, FIRST_TICKETS), (1, SECOND_TICKETS)):
        seated = draw_jury(randomness=RANDOM, members=members, level=level)
        assert sum(juror.tickets for juror in seated) == tickets
    assert draw_jury(randomness=RANDOM, members=[], level=0) == []


def test_what_can_not_be_drawn_is_refused():
    with pytest.raises(InvalidRound):
        auditor_of(randomness=RANDOM, roll=[entry(1)], seat=2)
    with pytest.raises(InvalidRound):
        is_audited(randomness=b"short", seat=1, audit_bps=1)
    for trial, level in ((-1, 0), (1 << 256, 0), (1, 256), (1, -1)):
        with pytest.raises(InvalidRound):
            jury_randomness(draw=RANDOM, trial=trial, level=level)
    for finding in (0, 4):
        with pytest.raises(InvalidRound):
            finding_typed_data(
                chain_id=1,
                court="0x" + "ab" * 20,
                run="0x" + "ab" * 20,
                round_id=1,
                seat=1,
                update_root=bytes(32),
                finding=finding,
            )
