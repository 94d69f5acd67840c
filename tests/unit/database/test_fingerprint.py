"""Statements without their values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.database._fingerprint import caller, fingerprint, normalise, operation_of


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("select *  from t\nwhere a = 'x''y' and b = 12.5e3", "select * from t where a = ? and b = ?"),
        ("select 1 -- secret\n from t", "select ? from t"),
        ("select /* 'secret */ a2 from t1", "select a2 from t1"),
        ('select "na\'me" from t', 'select "na\'me" from t'),
        ("select $$it's$$, $x$ y $x$", "select ?, ?"),
        ("a in (1, 2,3)", "a in (?)"),
        ("a in (%(a_1)s, %(a_2)s)", "a in (?)"),
        ("a in (?, ?, ?)", "a in (?)"),
        ("insert into t values (%(a)s::UUID, %(b)s), (%(c)s, %(d)s)", "insert into t values (?)"),
        ("select :name, $1, t1.col2::int", "select ?, ?, t1.col2::int"),
        ("select 'unterminated", "select ?"),
    ],
)
def test_values_are_replaced_and_names_stay(statement, shown):
    assert normalise(statement) == shown


def test_statements_that_differ_in_values_have_one_fingerprint():
    assert fingerprint("select 1 where a in (1,2)") == fingerprint("select  77 where a in (5)")
    assert fingerprint("select a") != fingerprint("select b")


@given(st.text(alphabet=st.characters(exclude_characters="'\\"), min_size=1))
def test_no_quoted_value_is_shown(value):
    assert normalise(f"select '{value}' from t") == "select ? from t"


@given(st.text())
def test_normalising_ends_and_never_raises(text):
    assert len(normalise(text)) <= 4096
    assert operation_of(text)


@pytest.mark.parametrize(
    ("statement", "verb"),
    [(" select 1", "SELECT"), ("/* x */ insert into t", "INSERT"), ("", "OTHER"), ("--x\nwith a", "WITH")],
)
def test_the_verb_is_found(statement, verb):
    assert operation_of(statement) == verb


def test_the_caller_is_named():
    assert "test_fingerprint.py" in caller()
