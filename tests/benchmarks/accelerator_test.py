"""What the benchmark of an accelerator does besides measuring."""

import json
import pathlib
import sys
import time
import zipfile

import accelerator
import accelerator_table
import accelerator_tiles
import processes
import pytest
from accelerator import Job


def job(*command, seconds=10):
    return Job("peak", "a job", seconds, "torch", command)


def tile(vocabulary, width, pair, ratios):
    return {
        "vocabulary": vocabulary,
        "width": width,
        "block_size": pair[0],
        "tile_size": pair[1],
        "seconds": 0.01,
        "ratios": ratios,
        "temporary_mebibytes": 1.0,
        "is_kept": False,
    }


def test_every_job_has_a_name_of_its_own_and_a_stage():
    for plan in (accelerator.REAL, accelerator.REHEARSAL):
        found = list(accelerator.jobs(plan))
        assert len({job.name for job in found}) == len(found)
        assert {job.stage for job in found} == set(accelerator.STAGES)
        for job in found:
            assert (accelerator.HERE / job.command[0]).exists()


def test_a_job_that_is_done_is_not_run_again():
    all_jobs = list(accelerator.jobs(accelerator.REAL))
    first, second = all_jobs[:2]
    kept = {first.name: {"status": "done"}, second.name: {"status": "failed"}}
    found = accelerator.remaining(all_jobs, ["peak"], kept)
    assert found == [second]


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script that jobs run, of a text."""
    monkeypatch.setattr(accelerator, "HERE", tmp_path)
    path = tmp_path / "script.py"
    return path.write_text


def test_a_job_tells_what_it_printed(script):
    script("print('noise')\nprint('{\"seconds\": 2}')\nprint('{broken')")
    found = accelerator.run(job("script.py"), 10, accelerator.Place())
    assert found["status"] == "done"
    assert found["lines"] == [{"seconds": 2}]


def test_what_a_job_printed_before_its_time_was_over_is_kept(script):
    script("import time\nprint('{\"a\": 1}', flush=True)\ntime.sleep(60)")
    found = accelerator.run(job("script.py"), 0.5, accelerator.Place())
    assert found["status"] == "out of time"
    assert found["lines"] == [{"a": 1}]


def test_a_job_that_fails_says_why(script):
    script("raise SystemExit('no such device')")
    found = accelerator.run(job("script.py"), 10, accelerator.Place())
    assert found["status"] == "failed"
    assert "no such device" in found["error"]


def test_only_wheels_of_what_is_missing_are_installed(tmp_path):
    name = "a_package_of_nobody-1.0-py3-none-any.whl"
    with zipfile.ZipFile(tmp_path / name, "w") as file:
        info = "a_package_of_nobody-1.0.dist-info/"
        file.writestr("a_package_of_nobody.py", "")
        file.writestr(info + "METADATA", "Name: a-package-of-nobody\n")
        file.writestr(info + "WHEEL", "Wheel-Version: 1.0\n")
        file.writestr(info + "RECORD", "")
    (tmp_path / "keras-0.0.1-py3-none-any.whl").write_text("broken")
    commands = []

    def record(command, check):
        commands.append(command)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accelerator.subprocess, "run", record)
        assert accelerator.install(tmp_path, "site") == [name]
    assert commands[0][0] == sys.executable
    assert commands[0][-1] == str(tmp_path / name)
    assert "--no-index" in commands[0]


def test_all_spellings_of_a_package_are_one():
    assert accelerator.canonical("Keras_Hub") == "keras-hub"
    assert accelerator.slug("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"


def test_tile_sizes_that_are_cut_to_the_head_are_run_once():
    found = accelerator_tiles.settings(64, 512, (32, 128), (256, 1024, 2048))
    assert found == [(0, 0), (32, 256), (32, 512), (64, 256), (64, 512)]


def test_the_best_tiling_is_that_of_all_heads():
    pairs = (1024, 2048), (4096, 2048), (4096, 8192)
    found = [
        tile(9, 1, pairs[0], [1.2, 1.0, 9.0]),
        tile(9, 2, pairs[0], [1.2]),
        tile(9, 1, pairs[1], [1.0]),
        tile(9, 2, pairs[1], [1.1]),
        # It ran for one head only.
        tile(9, 1, pairs[2], [0.5]),
        # What is kept depends on the device, and is no size.
        {**tile(9, 1, pairs[1], [0.1]), "is_kept": True},
        tile(9, 1, (0, 0), [1.0]),
    ]
    assert accelerator_table.best_tiling(found) == pairs[1]
    assert accelerator_table.best_tiling(found[-3:-2]) == pairs[2]
    assert accelerator_table.best_tiling(found[-1:]) is None


def test_a_report_of_anything_has_a_table():
    plan = accelerator.REAL._asdict()
    empty = {"plan": plan, "jobs": {}}
    assert "unknown device" in accelerator_table.table(empty)
    step = {"seconds": 0.5, "mebibytes": 9.0, "flops": 2e14, "first_step": 9.0}
    rate = {"flops_per_second": 8e14}
    report = {
        "device": "a device",
        "versions": {"jax": "1"},
        "plan": plan,
        "jobs": {
            name: {"status": "done", "wall": 1.0, "lines": [line]}
            for name, line in {
                "peak, jax": rate,
                "peak, torch": rate,
                "step, gpt2-124m, IQLearn": step,
                "step, gpt2-124m, transformers": {**step, "seconds": 1.0},
                "tiles, V = 9, D = 1": tile(9, 1, (1024, 2048), [0.9]),
                "rollouts, t5-60m, keras_irl": {"8": 300.0},
                "rollouts, t5-60m, transformers": {"8": 100.0},
                "mesh, gpt2-124m": {
                    "none": {"seconds": 1.0, "losses": [2.0, 1.0]},
                    "fsdp": {"seconds": 1.5, "losses": [2.0, 1.25]},
                },
            }.items()
        },
    }
    report["jobs"]["online, t5-60m, IQLearn"] = {
        "status": "out of time",
        "wall": 90.0,
        "lines": [],
        "error": "",
    }
    text = accelerator_table.table(json.loads(json.dumps(report)))
    assert "800.0 TFLOP/s" in text
    # 2e14 operations in half a second are half of that.
    assert "50.0% | 0.50 |" in text
    assert "| t5-60m, batch 8 | 300 | 100 | 3.00 |" in text
    assert "| fsdp | 1.50 | 2.5e-01 |" in text
    assert "blocks of 1024, tiles of 2048" in text
    assert "online, t5-60m, IQLearn: out of time" in text


LOCKED = """
import json, pathlib, sys, time
from processes import wait_for_the_device
wait_for_the_device("json")
path = pathlib.Path(sys.argv[1])
print(json.dumps({"is_alone": not path.exists()}))
path.touch()
time.sleep(0.3)
path.unlink()
"""


def test_jobs_that_measure_have_the_device_one_at_a_time(script, tmp_path):
    script(LOCKED)
    (tmp_path / "processes.py").write_text(
        pathlib.Path(processes.__file__).read_text("utf-8"), "utf-8"
    )
    todo = [
        Job("peak", f"job {i}", 30, "torch", ("script.py", str(tmp_path / "x")))
        for i in range(3)
    ]
    report, path = {"plan": accelerator.REAL._asdict(), "jobs": {}}, "made.json"
    place = accelerator.Place(lock=str(tmp_path / "lock"))
    end = time.monotonic() + 60
    accelerator.measure_all(todo, place, end, (report, tmp_path / path))
    lines = [report["jobs"][job.name]["lines"] for job in todo]
    assert lines == [[{"is_alone": True}]] * 3
    kept = json.loads((tmp_path / path).read_text())
    assert kept["jobs"] == report["jobs"]


def test_nothing_is_measured_when_the_time_is_over(script, tmp_path, capsys):
    script("print('{}')")
    report = {"plan": accelerator.REAL._asdict(), "jobs": {}}
    place, end = accelerator.Place(), time.monotonic()
    found = (report, tmp_path / "made.json")
    accelerator.measure_all([job("script.py")], place, end, found)
    assert report["jobs"] == {}
    assert "a job: no time is left" in capsys.readouterr().out


def test_only_jobs_of_jax_are_compiled_before(script, tmp_path, capsys):
    # They keep what they compile, and don't wait for each other.
    script(
        "import os\n"
        "assert os.environ['JAX_COMPILATION_CACHE_DIR'] == 'kept'\n"
        f"assert {accelerator.LOCK!r} not in os.environ"
    )
    jobs = [job("script.py"), job("script.py")._replace(backend="jax")]
    jobs[1] = jobs[1]._replace(name="of JAX")
    place = accelerator.Place(cache="kept", lock=str(tmp_path / "lock"))
    end = time.monotonic() + 60
    accelerator.compile_all(jobs, 2, place, end)
    (told,) = capsys.readouterr().out.splitlines()
    assert told.startswith("Compiled: of JAX: done")
    accelerator.compile_all(jobs, 0, place, end)
    assert not capsys.readouterr().out


def test_steps_are_tiled_as_is_best(tmp_path):
    by_name = {
        found.name: found.command
        for found in accelerator.jobs(accelerator.REAL, tiling=(4096, 8192))
    }
    tiled = by_name["step, gpt2-124m, IQLearn"]
    assert tiled[tiled.index("--tiling") + 1] == "4096,8192"
    plain = by_name["step, gpt2-124m, IQLearn, plain"]
    assert plain[plain.index("--tiling") + 1] == "plain"
    assert "--tiling" not in by_name["step, gpt2-124m, keras-hub"]
