"""Upgrade, downgrade, upgrade on a copy with data: what does not come back is told."""

import json

import pytest
from sqlalchemy import text

from shared.database.migrations import Migrations, rehearse
from shared.errors import MigrationError

GOOD = "op.add_column('orders', sa.Column('a', sa.Integer))"
#: What the rehearsal says, and the revision it says it of.
BAD = {
    "shape: column orders.a is left over": (GOOD, "pass"),
    "failed: downgrade: NotImplementedError": (GOOD, "raise NotImplementedError"),
    "rows: table orders: values of its 3 rows were changed": (
        "with op.batch_alter_table('orders') as b:\n    b.drop_column('note')",
        "op.add_column('orders', sa.Column('note', sa.String(100)))",
    ),
    "rows: table orders: 3 rows became 2": (
        GOOD,
        "op.drop_column('orders', 'a')\nop.execute('DELETE FROM orders WHERE id = 1')",
    ),
    "failed: upgrade: RuntimeError: no": ("raise RuntimeError('no')", "pass"),
    "is left over": ("op.create_index('ix_left', 'orders', ['note'])", "pass"),
}


@pytest.fixture
def live(database_url, orders, engine_for):
    Migrations(database_url, orders.chain).upgrade()
    with engine_for(database_url).begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (3, 'c')"))
    return database_url


def test_what_comes_back_is_fine_and_the_live_database_is_left_alone(live, orders, engine_for):
    orders.add("svc_0002", GOOD, "op.drop_column('orders', 'a')")
    orders.add(
        "svc_0003",
        "tools.expand_column_rename('orders', 'note', 'remark', sa.String(100))",
        "tools.undo_expand('orders', 'note', 'remark')",
    )

    tried = rehearse(live, orders.chain)

    assert tried.ok, str(tried)
    assert tried.revisions == ("svc_0002", "svc_0003")
    assert tried.rows_tried == 3
    assert "all as before" in str(tried)
    assert Migrations(live, orders.chain).current() == ("svc_0001",)


@pytest.mark.parametrize("said", list(BAD))
def test_what_does_not_come_back_is_told(live, orders, said):
    orders.add("svc_0002", *BAD[said])

    tried = rehearse(live, orders.chain)

    assert not tried.ok
    assert said in str(tried)


def test_applied_revisions_are_tried_again_from_where_is_asked(live, orders):
    orders.add("svc_0002", GOOD, "op.drop_column('orders', 'a')")
    Migrations(live, orders.chain).upgrade()

    assert "nothing is pending" in str(rehearse(live, orders.chain))
    tried = rehearse(live, orders.chain, since="svc_0001")

    assert (tried.ok, tried.revisions) == (True, ("svc_0002",))


def test_a_beginning_that_is_not_known_is_our_error(sqlite_url, orders):
    with pytest.raises(MigrationError):
        rehearse(sqlite_url, orders.chain, since="nowhere")


def test_our_own_revisions_come_back(database_url):
    tried = rehearse(database_url)

    assert tried.ok, str(tried)
    assert "database_0001" in tried.revisions


def test_the_command_exits_with_one_when_something_is_lost(live, orders, capsys):
    from shared._cli import main

    orders.add("svc_0002", GOOD, "pass")
    command = ["db", "rehearse", "--url", live, "--service", str(orders.folder), "--json"]

    assert main(command) == 1
    assert json.loads(capsys.readouterr().out)["shape"] == ["column orders.a is left over"]
