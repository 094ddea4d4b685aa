import gzip
import itertools
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from layers import prune
from pushreg.dynamodb import Client

DATA = Path(botocore.__file__).parent / "data"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer with botocore's real data on a few services, and with what else is to go."""
    packages = tmp_path_factory.mktemp("layer")
    data = packages / "botocore" / "data"
    data.mkdir(parents=True)
    for path in DATA.glob("*.json"):
        shutil.copy(path, data)
    for service in ("dynamodb", "dynamodbstreams", "events", "sqs"):
        shutil.copytree(DATA / service, data / service)
    for name in ("six.py", "bin/tool", "six/tests/test_six.py", "six/six.pyi", "six-1.0.dist-info/METADATA"):
        _write(packages / name)
    for name in ("cffi/api.py", "cffi/_embedding.h", "pycparser/_c_ast.cfg", "boto3/data/s3/resources-1.json"):
        _write(packages / name)
    for name in ("six-1.0.dist-info/RECORD", "six-1.0.dist-info/LICENSE.txt", "six-1.0.dist-info/licenses/LICENSE"):
        _write(packages / name)
    prune.prune(packages)
    return packages


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_prune_keeps_code_licences_and_metadata(packages: Path) -> None:
    kept = {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()}
    assert {path for path in kept if not path.startswith("botocore")} == {
        "cffi/api.py",
        "six.py",
        "six-1.0.dist-info/METADATA",
        "six-1.0.dist-info/LICENSE.txt",
        "six-1.0.dist-info/licenses/LICENSE",
    }


def test_prune_of_layer_without_botocore_keeps_its_code(tmp_path: Path) -> None:
    for name in ("jwt/api_jwt.py", "jwt/py.typed", "cryptography/hazmat/bindings/_rust.abi3.so", "bin/cffi-gen-src"):
        _write(tmp_path / name)
    prune.prune(tmp_path)
    kept = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert kept == {"jwt/api_jwt.py", "cryptography/hazmat/bindings/_rust.abi3.so"}


def test_prune_keeps_only_latest_models_of_called_services(packages: Path) -> None:
    data = packages / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == {"dynamodb", "events"}
    assert [path.name for path in (data / "dynamodb").iterdir()] == ["2012-08-10"]
    assert [path.name for path in (data / "events").iterdir()] == ["2015-10-07"]


def test_prune_leaves_what_a_client_of_eventbridge_needs(packages: Path) -> None:
    session = botocore.session.Session()
    search = [str(packages / "botocore" / "data")]
    session.register_component("data_loader", Loader(extra_search_paths=search, include_default_search_paths=False))
    session.set_credentials("local", "local")
    urls: list[str] = []

    def answer(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        urls.append(params["url"])
        return SimpleNamespace(status_code=200), {"Entries": []}

    client: Any = session.create_client("events", region_name="eu-west-1")
    client.meta.events.register("before-call", answer)
    client.put_events(Entries=[{"Source": "pushreg", "DetailType": "x", "Detail": "{}"}])
    assert urls == ["https://events.eu-west-1.amazonaws.com/"]


def test_prune_keeps_every_partition(packages: Path) -> None:
    trimmed = json.loads((packages / "botocore" / "data" / "endpoints.json").read_bytes())
    stock = json.loads((DATA / "endpoints.json").read_bytes())
    assert [each["partition"] for each in trimmed["partitions"]] == [each["partition"] for each in stock["partitions"]]
    assert {name for each in trimmed["partitions"] for name in each["services"]} == {"dynamodb", "events"}


def load_partitions() -> Any:
    return json.loads((DATA / "endpoints.json").read_bytes())["partitions"]


def resolve(loader: Loader) -> dict[tuple[str, bool, bool], str]:
    """Return where a call of each region goes, with FIPS or not, with dual stack or not; an error's name if nowhere."""
    session = botocore.session.Session(include_builtin_handlers=False)
    session.register_component("data_loader", loader)
    session.set_credentials("local", "local")
    regions = [region for partition in load_partitions() for region in partition["regions"]]
    return {
        (region, fips, dual): _resolve(session, region, fips=fips, dual=dual)
        for region, fips, dual in itertools.product(regions, (False, True), (False, True))
    }


def _resolve(session: Any, region: str, *, fips: bool, dual: bool) -> str:
    urls: list[str] = []

    def answer(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        urls.append(params["url"])
        return SimpleNamespace(status_code=200), {}

    config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=dual)
    try:
        client = session.create_client("dynamodb", region_name=region, config=config)
        client.meta.events.register("before-call", answer)
        client.get_item(TableName="Devices", Key={"account_id": {"S": "1"}, "record": {"S": "1"}})
    except BotoCoreError as error:
        return type(error).__name__
    return urls[0]


def test_prune_keeps_endpoints_of_every_region_but_documented_variants(packages: Path) -> None:
    search = [str(packages / "botocore" / "data")]
    trimmed = resolve(Loader(extra_search_paths=search, include_default_search_paths=False))
    stock = resolve(Loader())
    assert len(stock) > 180
    # docs/decisions/endpoint-rules.md#consequences
    govcloud = {(region, True, False) for region in ("us-gov-east-1", "us-gov-west-1")}
    isolated = ("us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1")
    dual_stack = {(region, fips, True) for region in isolated for fips in (False, True)}
    assert {case for case, url in stock.items() if trimmed[case] != url} == govcloud | dual_stack


@pytest.mark.parametrize("service", prune.OPERATIONS)
def test_prune_keeps_meaning_of_called_operations(packages: Path, service: str) -> None:
    search = [str(packages / "botocore" / "data")]
    loaders = (Loader(extra_search_paths=search, include_default_search_paths=False), Loader())
    trimmed, stock = (ServiceModel(loader.load_service_model(service, "service-2")) for loader in loaders)
    assert trimmed.metadata == stock.metadata
    assert set(trimmed.operation_names) == prune.OPERATIONS[service]
    for name in trimmed.operation_names:
        ours, theirs = trimmed.operation_model(name), stock.operation_model(name)
        assert (ours.http, ours.auth, ours.idempotent_members) == (theirs.http, theirs.auth, theirs.idempotent_members)
        for pair in ((ours.input_shape, theirs.input_shape), (ours.output_shape, theirs.output_shape)):
            assert describe(pair[0]) == describe(pair[1])
        assert list(map(describe, ours.error_shapes)) == list(map(describe, theirs.error_shapes))


def test_prune_keeps_every_call_of_session() -> None:
    called = {name for name in vars(Client) if not name.startswith("_")}
    assert {xform_name(name) for name in prune.OPERATIONS["dynamodb"]} == called


def describe(shape: Any, above: tuple[str, ...] = ()) -> object:
    """Return all that parsers and serialisers read of a shape and of those inside, but for repetitions."""
    if shape is None or shape.name in above:
        return shape and shape.name
    inside = dict(getattr(shape, "members", {}))
    inside |= {name: getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)}
    children = {name: describe(each, (*above, shape.name)) for name, each in inside.items()}
    return shape.name, shape.type_name, shape.serialization, shape.metadata, children


def test_prune_removes_model_documentation(packages: Path) -> None:
    (path,) = packages.glob("botocore/data/dynamodb/*/service-2.json.gz")
    assert b'"documentation":"' not in gzip.decompress(path.read_bytes())
