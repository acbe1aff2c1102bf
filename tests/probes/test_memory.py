"""What is left of a machine's memory, and of a container's or a job's."""

from selfpatch.probes.memory import available_memory, of_cgroups


def test_memory_that_is_left_is_less_than_there_is():
    assert 2**20 < available_memory("cpu") < 2**50


def test_a_limit_around_a_process_counts(tmp_path):
    (tmp_path / "own").write_text("0::/system/job_7/step_0\n")
    for folder, limit, used in (("system", "max", 900), ("system/job_7", "1000", 700)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "memory.max").write_text(f"{limit}\n")
        (tmp_path / folder / "memory.current").write_text(f"{used}\n")
        (tmp_path / folder / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert list(of_cgroups(tmp_path / "own", tmp_path)) == [1000 - 700 + 150]
    assert list(of_cgroups(tmp_path / "missing", tmp_path)) == []


def test_processes_on_one_machine_share_its_memory(monkeypatch):
    alone = available_memory("cpu")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert available_memory("cpu") < alone / 4
