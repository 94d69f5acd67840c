"""Which replica answers, decided without any server."""

import pytest

from shared.context import request_context
from shared.database._replicas import Replicas
from shared.database._session import Stickiness


class Servers:
    """A primary and replicas that answer what they are told."""

    def __init__(self, *positions, lags=(), primary=100):
        self.primary, self.positions, self.lags, self.asked = primary, list(positions), list(lags), []

    def __call__(self, number, statement, values):
        text = str(statement)
        self.asked.append((number, "lag" if "receive_lsn" in text else "position"))
        if "receive_lsn" in text:
            return self.lags[number]
        if number is None:
            return self.primary
        at = self.positions[number]
        return None if at is None else at >= values["position"]


class Case:
    """What decides, with a clock that obeys."""

    def __init__(self, count, **options):
        self.now, self.ejected = 1000.0, []
        self.sticky = Stickiness(5.0, lambda: self.now)
        defaults = {
            "max_lag": None,
            "clock": lambda: self.now,
            "eject": self.ejected.append,
            "positions": True,
        }
        self.replicas = Replicas(count, self.sticky, **{**defaults, **options})


def test_replicas_take_turns():
    case, servers = Case(3), Servers(0, 0, 0)

    assert [case.replicas.choose(servers) for _ in range(4)] == [0, 1, 2, 0]
    assert servers.asked == []


def test_who_wrote_reads_from_a_replica_that_has_it():
    case, servers = Case(2), Servers(99, 100)
    with request_context():
        case.sticky.wrote()

        assert [case.replicas.choose(servers) for _ in range(3)] == [1, 1, 1]


def test_who_wrote_reads_from_the_primary_while_no_replica_has_it():
    case, servers = Case(2), Servers(99, 99)
    with request_context():
        case.sticky.wrote()
        before = case.replicas.choose(servers)
        servers.positions[0] = 100
        after = case.replicas.choose(servers)

    assert (before, after) == (None, 0)


def test_the_primary_is_asked_once_for_a_write_and_a_replica_until_it_has_it():
    case, servers = Case(1), Servers(100)
    with request_context():
        case.sticky.wrote()
        for _ in range(5):
            case.replicas.choose(servers)

    assert servers.asked == [(None, "position"), (0, "position")]


def test_a_new_write_is_waited_for_again():
    case, servers = Case(1), Servers(100)
    with request_context():
        case.sticky.wrote()
        first = case.replicas.choose(servers)
        servers.primary = 200
        case.sticky.wrote()
        second = case.replicas.choose(servers)

    assert (first, second) == (0, None)


@pytest.mark.parametrize("silent", ["primary", "replica", "nobody replays"])
def test_without_an_answer_time_decides(silent):
    servers = Servers(None if silent != "primary" else 100, primary=None if silent == "primary" else 100)
    case = Case(1)
    with request_context():
        case.sticky.wrote()
        during = case.replicas.choose(servers)
        case.now += 5.1
        after = case.replicas.choose(servers)

    assert (during, after) == (None, 0)


def test_servers_without_positions_are_told_by_time_alone():
    case, servers = Case(1, positions=False), Servers(100)
    with request_context():
        case.sticky.wrote()
        during = case.replicas.choose(servers)
        case.now += 5.1
        after = case.replicas.choose(servers)

    assert (during, after, servers.asked) == (None, 0, [])


def test_another_request_does_not_wait_for_a_write():
    case, servers = Case(1), Servers(0)
    with request_context():
        case.sticky.wrote()
    with request_context():
        assert case.replicas.choose(servers) == 0


def test_a_replica_that_is_too_far_behind_is_left_out():
    case, servers = Case(2, max_lag=2.0), Servers(0, 0, lags=[2.1, 1.9])

    assert [case.replicas.choose(servers) for _ in range(3)] == [1, 1, 1]
    assert case.ejected[0] == 0


def test_the_primary_answers_when_all_are_too_far_behind():
    case, servers = Case(2, max_lag=2.0), Servers(0, 0, lags=[3, 3])

    assert case.replicas.choose(servers) is None


def test_the_lag_is_asked_for_once_a_second():
    case, servers = Case(1, max_lag=2.0), Servers(0, lags=[0])
    for _ in range(5):
        case.replicas.choose(servers)
    case.now += 1.1
    case.replicas.choose(servers)

    assert servers.asked == [(0, "lag"), (0, "lag")]


def test_a_replica_that_does_not_answer_is_not_near():
    case, servers = Case(2, max_lag=2.0), Servers(0, 0, lags=[None, 0])

    assert case.replicas.choose(servers) == 1


def test_an_ejected_replica_is_not_even_asked():
    case, servers = Case(2, max_lag=2.0), Servers(0, 0, lags=[0, 0])
    case.replicas.ejected[0] = case.now + 10

    assert case.replicas.choose(servers) == 1
    assert servers.asked == [(1, "lag")]
