"""What `sam build` makes, and the documented contract cases against it in Lambda's containers."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.sam.tool import ARCHITECTURE, PROJECT, Sam, choose_options
from tests.support.contract.cases import Case, load_cases
from tests.support.contract.playing import run_case
from tests.support.stack import send_http
from tests.support.stored import Stored
from tools.package import find_faults, import_handlers, load_build, read_locks

pytestmark = [pytest.mark.docker, pytest.mark.engine]
CASES = [case for case in load_cases() if case.kind.startswith("documented") and not case.given.special]


def test_sam_build_has_no_faults(build: Path) -> None:
    built = load_build(build)
    assert built.architecture == ARCHITECTURE
    assert [*find_faults(built, read_locks(PROJECT)), *import_handlers(built)] == []


def test_sam_local_invoke_answers_sample_event(sam: Sam, build: Path, endpoint: str, url: str) -> None:
    event = PROJECT / "events" / "places_put_registered.json"
    options = ["--event", str(event), *choose_options(DynamoDbEndpoint=endpoint)]
    result = sam.run(
        "local", "invoke", "PlacesFunction", "--template", str(build / "template.yaml"), *options, cwd=build
    )
    answer = json.loads(result.splitlines()[-1])
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["message"]["data"]["device_token"] == "eGCgkKMKFHQ:APA91bEhSO-XOvT8"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_contract_case_in_lambda_container_is_answered_as_documented(case: Case, url: str, stored: Stored) -> None:
    run_case(case, partial(send_http, url), stored)
