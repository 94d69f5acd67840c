import multiprocessing
import os
import textwrap

import pytest

from shared.monitoring import Metrics
from shared.monitoring._metric_group import group_directory, open_group, parent_of_group, started
from shared.monitoring._metric_slots import SlotFile
from tests.unit.monitoring.children import run_code


def test_a_process_on_its_own_has_no_group():
    assert parent_of_group() is None


def test_the_folder_names_service_parent_and_moment(tmp_path):
    folder = group_directory("my service/../x", os.getpid(), tmp_path)

    assert folder.parent == tmp_path
    assert folder.name == f"my_service_.._x-{os.getpid()}-{started(os.getpid())}"


def test_a_process_that_is_not_there_started_never():
    assert started(2**22 + 1) == "0"


def test_the_folder_is_private(tmp_path):
    folder = open_group(tmp_path / "base" / "group-1-1")

    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trap", ["link", "open"])
def test_a_folder_somebody_prepared_is_refused(tmp_path, trap):
    base, elsewhere = tmp_path / "base", tmp_path / "elsewhere"
    base.mkdir(mode=0o700)
    elsewhere.mkdir()
    if trap == "link":
        (base / "group-1-1").symlink_to(elsewhere)
    else:
        (base / "group-1-1").mkdir()
        (base / "group-1-1").chmod(0o777)

    with pytest.raises(PermissionError, match="not a private folder"):
        open_group(base / "group-1-1")


def test_groups_whose_processes_are_gone_are_removed_and_others_kept(tmp_path):
    gone, living, held = (
        tmp_path / name
        for name in ("a-999999999-1", f"b-{os.getpid()}-{started(os.getpid())}", "c-999999999-2")
    )
    for folder in (gone, living, held):
        folder.mkdir(mode=0o700)
    slot = SlotFile(held)
    tmp_path.chmod(0o700)

    open_group(tmp_path / "new-1-1")

    assert [gone.exists(), living.exists(), held.exists()] == [False, True, True]
    slot.release()


def test_a_folder_that_cannot_be_used_leaves_the_numbers_in_memory(tmp_path, caplog):
    (tmp_path / "file").write_text("")

    metrics = Metrics("test", directory=tmp_path / "file" / "x")
    metrics.counter("c", "Help.").inc()

    assert metrics.value("c_total") == 1
    assert not metrics.is_multiprocess
    assert "metrics stay with each process" in caplog.text


# -- whole processes -----------------------------------------------------------------


def run(body):
    head = "import os, sys, time\nfrom shared.monitoring import Metrics\n"
    code, output, errors = run_code(head + textwrap.dedent(body))
    assert code == 0, errors
    return output


def test_forked_children_count_into_the_same_total():
    output = run("""
        metrics = Metrics("forked")
        counter = metrics.counter("c", "Help.", ["a"])
        histogram = metrics.histogram("h", "Help.", buckets=[1, 2])
        counter.labels("x").inc(10)     # before the fork: counted once, not once per child
        histogram.observe(0.5)
        children = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                for _ in range(100):
                    counter.labels("x").inc()
                histogram.observe(1.5)
                os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
        print(metrics.value("c_total", {"a": "x"}), metrics.value("h_count"), metrics.value("h_sum"))
    """)

    assert output == ["410.0", "5.0", "6.5"]


def test_gauges_count_living_processes_only():
    output = run("""
        metrics = Metrics("forked")
        level, worst = metrics.gauge("level", "Help."), metrics.gauge("worst", "Help.", mode="max")
        level.set(1); worst.set(1)
        ready, go = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            level.set(5); worst.set(9)
            os.write(ready[1], b"x"); os.read(go[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        print(metrics.value("level"), metrics.value("worst"), len(metrics.processes()))
        os.write(go[1], b"x"); os.waitpid(pid, 0)
        print(metrics.value("level"), metrics.value("worst"), len(metrics.processes()))
    """)

    assert output == ["6.0", "9.0", "2", "1.0", "1.0", "1"]


def test_each_mode_of_gauge_becomes_one_number_its_own_way():
    output = run("""
        metrics = Metrics("forked")
        gauges = {mode: metrics.gauge(mode, "Help.", mode=mode) for mode in ("sum", "max", "min", "latest")}
        for gauge in gauges.values():
            gauge.set(5)
        ready, go = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            time.sleep(0.01)
            for gauge in gauges.values():
                gauge.set(2)
            os.write(ready[1], b"x"); os.read(go[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        print(*(metrics.value(mode) for mode in gauges))
        os.write(go[1], b"x"); os.waitpid(pid, 0)
    """)

    assert output == ["7.0", "5.0", "2.0", "2.0"]


def test_children_that_are_started_and_not_forked_are_added_too():
    output = run("""
        import multiprocessing
        from tests.unit.monitoring.children import count_a_hundred
        if __name__ == "__main__":
            metrics = Metrics("spawned")
            metrics.counter("c", "Help.").inc(1)
            context = multiprocessing.get_context("spawn")
            children = [context.Process(target=count_a_hundred) for _ in range(2)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            print(metrics.value("c_total"), [child.exitcode for child in children])
    """)

    assert output == ["201.0", "[0,", "0]"]


def test_a_declaration_of_another_process_is_exposed_though_this_one_never_made_it():
    output = run("""
        metrics = Metrics("forked")
        pid = os.fork()
        if pid == 0:
            metrics.counter("only_there", "Help.").inc(3)
            os._exit(0)
        os.waitpid(pid, 0)
        print([line for line in metrics.expose().body.decode().splitlines() if line.startswith("only_there")])
    """)

    assert " ".join(output) == "['only_there_total 3.0']"


def test_a_fork_while_other_threads_count_does_not_hang_the_child():
    output = run("""
        import threading
        metrics = Metrics("forked")
        series = metrics.counter("c", "Help.", ["a"]).labels("x")
        stop = threading.Event()
        def work():
            while not stop.is_set():
                series.inc()
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                series.inc()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
        print(metrics.value("c_total", {"a": "x"}) >= 20, len(metrics.processes()))
    """)

    assert output == ["True", "1"]


def test_functions_of_gauges_are_asked_in_processes_that_do_not_answer():
    output = run("""
        import shared.monitoring._metric_sampler as sampler
        metrics = Metrics("forked")
        metrics._sampler._interval = 0.02
        gauge = metrics.gauge("g", "Help.")
        base = os.getpid()
        gauge.set_function(lambda: 1.0 if os.getpid() == base else 10.0)
        ready, go = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(go[0], 1)
            os._exit(0)
        end = time.monotonic() + 5
        while metrics.value("g") != 11.0 and time.monotonic() < end:
            time.sleep(0.02)
        print(metrics.value("g"))
        os.write(go[1], b"x"); os.waitpid(pid, 0)
        metrics.close()
    """)

    assert output == ["11.0"]


def test_the_folder_of_a_group_is_found_by_its_workers():
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        parents = set(pool.map(_parent, range(4)))

    assert parents == {os.getpid()}


def _parent(_number):
    return parent_of_group()
