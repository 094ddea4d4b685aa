import gzip
import json
import shutil
from pathlib import Path

import botocore.session
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

import prune

DATA = Path(botocore.__file__).parent / "data"
REGIONS = ["eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "ap-southeast-5"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer with botocore's real data on a few services, and with what else is to go."""
    packages = tmp_path_factory.mktemp("layer")
    data = packages / "botocore" / "data"
    data.mkdir(parents=True)
    for path in DATA.glob("*.json"):
        shutil.copy(path, data)
    for service in ("dynamodb", "dynamodbstreams", "sqs"):
        shutil.copytree(DATA / service, data / service)
    for name in ("six.py", "bin/tool", "six/tests/test_six.py", "six/six.pyi", "six-1.0.dist-info/METADATA"):
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
        "six.py",
        "six-1.0.dist-info/METADATA",
        "six-1.0.dist-info/LICENSE.txt",
        "six-1.0.dist-info/licenses/LICENSE",
    }


def test_prune_keeps_only_dynamodb_latest_model(packages: Path) -> None:
    data = packages / "botocore" / "data"
    assert [path.name for path in data.iterdir() if path.is_dir()] == ["dynamodb"]
    assert [path.name for path in (data / "dynamodb").iterdir()] == ["2012-08-10"]


def test_prune_keeps_every_partition(packages: Path) -> None:
    trimmed = json.loads((packages / "botocore" / "data" / "endpoints.json").read_bytes())
    stock = json.loads((DATA / "endpoints.json").read_bytes())
    assert [each["partition"] for each in trimmed["partitions"]] == [each["partition"] for each in stock["partitions"]]
    assert {name for each in trimmed["partitions"] for name in each["services"]} == {"dynamodb"}


@pytest.mark.parametrize("region", REGIONS)
def test_prune_keeps_endpoints_of_every_region(packages: Path, region: str) -> None:
    def locate(loader: Loader) -> str:
        session = botocore.session.Session()
        session.register_component("data_loader", loader)
        url: str = session.create_client("dynamodb", region_name=region).meta.endpoint_url
        return url

    search = [str(packages / "botocore" / "data")]
    trimmed = locate(Loader(extra_search_paths=search, include_default_search_paths=False))
    assert trimmed == locate(Loader())
    assert region in trimmed


def test_prune_keeps_meaning_of_service_model(packages: Path) -> None:
    search = [str(packages / "botocore" / "data")]
    loaders = (Loader(extra_search_paths=search, include_default_search_paths=False), Loader())
    trimmed, stock = (ServiceModel(loader.load_service_model("dynamodb", "service-2")) for loader in loaders)
    assert trimmed.metadata == stock.metadata
    assert trimmed.shape_names == stock.shape_names
    assert trimmed.operation_names == stock.operation_names
    for name in stock.operation_names:
        ours, theirs = trimmed.operation_model(name), stock.operation_model(name)
        assert (ours.http, ours.auth, ours.idempotent_members) == (theirs.http, theirs.auth, theirs.idempotent_members)
    for name in stock.shape_names:
        assert describe(trimmed.shape_for(name)) == describe(stock.shape_for(name))


def describe(shape: Shape) -> tuple[object, ...]:
    members = getattr(shape, "members", {})
    return shape.type_name, shape.serialization, shape.metadata, {name: each.name for name, each in members.items()}


def test_prune_removes_model_documentation(packages: Path) -> None:
    (path,) = packages.glob("botocore/data/dynamodb/*/service-2.json.gz")
    assert b'"documentation":"' not in gzip.decompress(path.read_bytes())
