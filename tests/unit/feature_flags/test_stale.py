"""Which flags have had their day."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.feature_flags import CodeScan, CodeUse, Flag, Rule, stale_flags

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def ago(days):
    return NOW - timedelta(days=days)


def judged(flag, **known):
    (found,) = stale_flags({flag.key: flag}, now=NOW, **known).flags
    return found


def used(*keys, how="call"):
    return CodeScan(tuple(CodeUse(key, "app.py", at, how) for at, key in enumerate(keys, 1)), 1)


@pytest.mark.parametrize(
    ("expires", "reasons"), [("2026-11-19", ("expired",)), ("2026-11-20", ()), ("2027-01-01", ()), (None, ())]
)
def test_a_flag_expires_after_its_day(expires, reasons):
    assert judged(Flag("f", expires=expires)).reasons == reasons


@pytest.mark.parametrize(
    ("kind", "days", "is_old"),
    [
        ("release", 41, True),
        ("release", 39, False),
        ("experiment", 41, True),
        ("ops", 8, True),
        ("ops", 6, False),
        ("kill", 5000, False),
        ("permission", 5000, False),
        ("config", 5000, False),
    ],
)
def test_each_kind_has_its_time(kind, days, is_old):
    found = judged(Flag("f", kind=kind), created={"f": ago(days)})

    assert ("old" in found.reasons) is is_old


def test_an_expiry_of_its_own_counts_instead_of_that_of_its_kind():
    assert judged(Flag("f", expires="2027-01-01"), created={"f": ago(400)}).reasons == ()


SETTLED = {
    "nothing decides": (Flag("f"), True),
    "all": (Flag("f", rollout=100), True),
    "nobody": (Flag("f", rollout=0), True),
    "off": (Flag("f", enabled=False, rollout=50), True),
    "half": (Flag("f", rollout=50), False),
    "rules": (Flag("f", rules=[Rule("on")]), False),
    "half elsewhere": (Flag("f", environments={"production": {"rollout": 50}}), False),
    "all everywhere": (Flag("f", environments={"production": {"rollout": 100}}), True),
    "a switch": (Flag("f", kind="kill"), False),
    "a permission": (Flag("f", kind="permission"), False),
}


@pytest.mark.parametrize(("flag", "is_settled"), SETTLED.values(), ids=SETTLED)
def test_a_release_that_gives_everybody_the_same_for_long_is_settled(flag, is_settled):
    assert ("settled" in judged(flag, changed={"f": ago(31)}).reasons) is is_settled


def test_what_changed_lately_is_not_settled():
    assert judged(Flag("f"), changed={"f": ago(29)}).reasons == ()
    assert judged(Flag("f"), changed={"f": ago(9)}, settled_days=8).reasons == ("settled",)


@pytest.mark.parametrize(
    ("last_used", "created", "is_unused"),
    [
        (None, {}, False),  # nobody counted
        ({}, {}, True),
        ({}, {"f": ago(3)}, False),  # it had no time
        ({}, {"f": ago(31)}, True),
        ({"f": ago(31)}, {}, True),
        ({"f": ago(29)}, {}, False),
    ],
    ids=["not counted", "never", "new", "not new", "long ago", "lately"],
)
def test_a_flag_that_nobody_evaluates_is_unused(last_used, created, is_unused):
    found = judged(Flag("f", kind="config"), last_used=last_used, created=created)

    assert ("unused" in found.reasons) is is_unused


@pytest.mark.parametrize(
    ("scan", "code", "is_stale"),
    [
        (None, "not looked at", False),
        (used("f"), "used", False),
        (used("other"), "unused", True),
        (used("f", how="declared"), "unused", True),
        (used("f", how="mention"), "cannot tell", False),
        (CodeScan((CodeUse(None, "app.py", 1, "dynamic", "f*"),)), "cannot tell", False),
        (CodeScan((CodeUse(None, "app.py", 1, "dynamic", "x*"),)), "unused", True),
        (CodeScan(unread=(("app.py", "line 1: invalid syntax"),)), "cannot tell", False),
    ],
    ids=["none", "call", "not there", "declared", "mention", "dynamic", "other dynamic", "unread"],
)
def test_the_code_tells_or_cannot_tell(scan, code, is_stale):
    found = judged(Flag("f"), scan=scan)

    assert (found.code, found.is_stale) == (code, is_stale)


def test_reasons_are_put_together_with_what_to_do():
    found = judged(
        Flag("f", expires="2026-01-01", owner="web"),
        scan=used("f"),
        last_used={"f": ago(1)},
        changed={"f": ago(200)},
    )

    assert found.reasons == ("expired", "settled")
    assert found.places == ("app.py:1",)
    assert "remove the flag from the code (app.py:1)" in found.advice


@pytest.mark.parametrize(
    ("scan", "advice"),
    [
        (used("other"), "no code asks for it"),
        (used("f", how="mention"), "look at the places"),
        (used("f"), "find out why nobody evaluates it"),
    ],
    ids=["unused", "mention", "used"],
)
def test_the_advice_fits_what_the_code_says(scan, advice):
    assert advice in judged(Flag("f", kind="config"), scan=scan, last_used={}).advice


def test_what_the_code_asks_for_and_nobody_defines_is_told():
    scan = CodeScan(
        (
            CodeUse("misspelt", "app.py", 3, "call"),
            CodeUse("own", "app.py", 4, "call"),
            CodeUse("own", "flags.py", 1, "declared"),
            CodeUse("f", "app.py", 5, "call"),
            CodeUse(None, "app.py", 9, "dynamic"),
        ),
        2,
        (("bad.py", "line 1: invalid syntax"),),
    )

    report = stale_flags({"f": Flag("f")}, now=NOW, scan=scan)

    assert report.unknown == (("misspelt", ("app.py:3",)),)
    assert report.dynamic == ("app.py:9",)
    assert report.to_dict()["unread"] == [{"path": "bad.py", "reason": "line 1: invalid syntax"}]


def test_flags_come_by_key():
    report = stale_flags({"b": Flag("b"), "a": Flag("a", expires="2026-01-01")}, now=NOW)

    assert [flag.key for flag in report.flags] == ["a", "b"]
    assert [flag.key for flag in report.stale] == ["a"]
    assert report.to_dict()["stale"] == 1
