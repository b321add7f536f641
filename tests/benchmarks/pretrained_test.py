"""All stages of the study of a pretrained policy, with a tiny one."""

import csv
import sys

import pretrained as study
from studies import E2E_FILES

TINY = (
    "--backend torch --batch-size 4 --steps 2 --num-train 16 --num-test 4 "
    "--num-validation 4 --evaluate-every 2 --gail-warm-up-steps 1"
)


def e2e_data(folder):
    """Restaurants of two references each, as E2E's files tell of them."""
    place = folder / "e2e"
    place.mkdir(parents=True)
    for name in E2E_FILES:
        rows = [
            [f"name[Cafe {name[0]}{i // 2}], food[French]", f"French, {i}."]
            for i in range(24)
        ]
        with (place / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["mr", "ref"], *rows])
    return folder


def test_every_stage_is_reached_and_ends_in_the_table(tmp_path, monkeypatch):
    data, output = e2e_data(tmp_path / "data"), tmp_path / "runs"
    monkeypatch.setitem(study.SIZES, "cpu", TINY)
    monkeypatch.setitem(study.JUDGED, "cpu", (4, 2, 4))
    monkeypatch.setitem(study.REWARDED, "cpu", (4, 3, 4))
    monkeypatch.setitem(study.DECODERS, "cpu", "greedy,T=1")
    methods = ["mle", "iqlearn 0.1", "gail"]
    flags = "--preset t5-scratch-tiny --rates 1e-3 --seeds 1".split()
    flags += ["--data", str(data), "--output", str(output)]
    flags += ["--methods", ",".join(methods), "--skip", "little-data"]
    monkeypatch.setattr(sys, "argv", ["pretrained.py", "e2e", *flags])
    study.main()
    table = (output / "e2e" / "table.md").read_text("utf-8")
    rows = [line.split(" | ") for line in table.splitlines() if "|" in line]
    for method in methods[1:]:
        claims = {row[0].strip("| ") for row in rows if row[1] == method}
        assert {study.QUALITY.name, study.EQUAL.name} <= claims
    # Likelihood's own are the control of the others.
    rewards = output / "e2e" / "rewards"
    assert {path.name for path in rewards.iterdir()} == {"mle", "iqlearn-0.1"}
    kinds = {
        row[0].removeprefix(f"| {study.REWARDS.name}: ")
        for row in rows
        if study.REWARDS.name in row[0]
    }
    assert {"bleu, pooled", "chrf, within prompt, given length"} <= kinds
