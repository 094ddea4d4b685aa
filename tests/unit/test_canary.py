"""What a canary sees of a defect: the template's alarm over simulated traffic, a request at a time."""

from random import Random

import pytest

from tests.unit.test_template import DOCUMENT

SHARE = 0.10
MINUTES = 15
RUNS = 4000


def detects(per_minute: float, failing: float, random: Random) -> bool:
    """Whether the alarm goes off in a bake: threshold 1, one period of a minute (the template's)."""
    for _ in range(MINUTES):
        # Requests come as they like (Poisson), each goes to the new version with the canary's share.
        at, failed = random.expovariate(per_minute), 0
        while at < 1:
            failed += random.random() < SHARE and random.random() < failing
            at += random.expovariate(per_minute)
        if failed >= DOCUMENT["Parameters"]["CanaryFaultThreshold"]["Default"]:
            return True
    return False


def test_canary_alarm_is_what_the_simulation_assumes() -> None:
    alarm = DOCUMENT["Resources"]["KazooCanaryAlarm"]["Properties"]
    assert (alarm["EvaluationPeriods"], alarm["Threshold"]) == (1, {"Ref": "CanaryFaultThreshold"})
    assert {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each} == {60}
    rollout = DOCUMENT["Globals"]["Function"]["DeploymentPreference"]["Type"]["Fn::If"][1]
    assert rollout == f"Canary{SHARE:.0%}Minutes".replace("%", f"Percent{MINUTES}")


@pytest.mark.parametrize(
    ("per_minute", "failing", "probability"),
    [(5, 1.0, 0.999), (5, 0.5, 0.976), (5, 0.1, 0.528), (60, 0.1, 0.9999)],
    ids=["5 a minute, all fail", "5 a minute, half fail", "5 a minute, a tenth fails", "60 a minute, a tenth fails"],
)
def test_canary_detects_defect(per_minute: float, failing: float, probability: float) -> None:
    random = Random(f"{per_minute} {failing}")
    detected = sum(detects(per_minute, failing, random) for _ in range(RUNS)) / RUNS
    assert detected == pytest.approx(probability, abs=0.03)


def test_canary_without_defect_stays() -> None:
    assert not any(detects(60, 0.0, Random(run)) for run in range(100))
