import pytest

from shared.errors import ConfigurationError
from shared.monitoring import HealthRegistry, disk_check, memory_check, threshold_check
from shared.monitoring._process import MemoryLimit, MemoryUse, container_memory, mebibytes, memory_use

MIB = 1024 * 1024


def test_memory_is_shown_in_whole_mebibytes():
    facts = memory_check(read=lambda: MemoryUse(150 * MIB, 80 * MIB), container=lambda: None).check()

    assert facts == {"status": "healthy", "rss": 150, "heapUsed": 80}


def test_memory_degrades_above_the_limit_of_the_process():
    check = memory_check(max_rss=100 * MIB, read=lambda: MemoryUse(150 * MIB, 80 * MIB))

    assert check.check()["status"] == "degraded"


def test_memory_degrades_near_the_limit_of_the_container():
    check = memory_check(read=lambda: MemoryUse(1, 1), container=lambda: MemoryLimit(100 * MIB, 95 * MIB))

    assert check.check()["status"] == "degraded"
    assert check.check()["limit"] == 100


def test_memory_is_never_critical():
    assert memory_check().critical is False


@pytest.mark.parametrize("part", [0, 1.1])
def test_memory_refuses_a_part_that_is_none(part):
    with pytest.raises(ConfigurationError, match="degraded_above"):
        memory_check(degraded_above=part)


def test_this_process_uses_memory_and_its_heap_is_part_of_it():
    use = memory_use()

    assert 0 < use.heap <= use.rss


def test_memory_falls_back_to_the_peak_where_there_is_no_proc(tmp_path):
    use = memory_use(tmp_path / "absent")

    assert use.heap == use.rss > MIB


def test_the_working_set_of_a_v2_group_leaves_out_droppable_cache(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 300\n")

    assert container_memory(tmp_path) == MemoryLimit(1000, 400)


def test_the_working_set_of_a_v1_group_is_found(tmp_path):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("1000\n")
    (tmp_path / "memory/memory.usage_in_bytes").write_text("700\n")
    (tmp_path / "memory/memory.stat").write_text("cache 1\n")

    assert container_memory(tmp_path) == MemoryLimit(1000, 700)


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
def test_a_group_without_a_limit_has_none(tmp_path, limit):
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("7")
    (tmp_path / "memory.stat").write_text("")

    assert container_memory(tmp_path) is None


def test_mebibytes_rounds():
    assert mebibytes(1.6 * MIB) == 2


def test_the_disk_check_measures_a_real_disk(tmp_path):
    facts = disk_check(tmp_path, degraded_below=0, unhealthy_below=0).check()

    assert facts["status"] == "healthy"
    assert 0 <= facts["free"] <= facts["total"]


def test_the_disk_check_degrades_and_fails_by_the_free_part(tmp_path):
    degraded = disk_check(tmp_path, degraded_below=1, unhealthy_below=0)
    failing = disk_check(tmp_path, degraded_below=1, unhealthy_below=1)

    assert [degraded.check()["status"], failing.check()["status"]] == ["degraded", "unhealthy"]


def test_the_disk_check_refuses_limits_in_the_wrong_order():
    with pytest.raises(ConfigurationError, match="does not hold"):
        disk_check("/", degraded_below=0.1, unhealthy_below=0.2)


@pytest.mark.parametrize(
    ("value", "status"), [(0, "healthy"), (10, "healthy"), (11, "degraded"), (61, "unhealthy")]
)
def test_a_threshold_check_judges_the_number(value, status):
    check = threshold_check("outbox", lambda: value, degraded_above=10, unhealthy_above=60, unit="s")

    assert check.check() == {"status": status, "value": value, "unit": "s"}


async def test_a_threshold_check_awaits_an_asynchronous_reader():
    async def lag():
        return 11

    registry = HealthRegistry()
    registry.include(threshold_check("replica", lag, degraded_above=10))
    registry.include(threshold_check("late", lambda: lag(), degraded_above=10))

    report = await registry.areport()

    assert report.to_dict()["checks"] == {
        "replica": {"status": "degraded", "value": 11},
        "late": {"status": "degraded", "value": 11},
    }


def test_a_threshold_check_without_a_limit_is_refused():
    with pytest.raises(ConfigurationError, match="no limit"):
        threshold_check("outbox", lambda: 1)
