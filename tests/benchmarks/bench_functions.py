"""Single functions on the way of a request, timed by pytest-benchmark: `just bench-micro`.

Not collected by the tests: the name doesn't begin with test_. What is timed also has to be right,
or a function that fails quickly would look fast.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from proxy.integrity.checksums import digest_of
from proxy.integrity.digest_memory import DigestMemory
from proxy.origins.s3.signing import Keys, Signer, encode_key
from proxy.semantics.etags import EntityTag, parse_etag
from proxy.semantics.globs import compile_glob
from proxy.semantics.keys import key_below, path_of_target
from proxy.semantics.plan import Policy, make_plan
from proxy.semantics.ranges import parse_ranges
from proxy.semantics.representation import Representation
from proxy.semantics.routing import Mount, Rule, find_mount, treatment_of
from proxy.server.delivery import Recipe
from proxy.server.hot import new_request_id
from proxy.server.http1.heads import write_prepared
from proxy.server.prepared import Made, PreparedAnswers

MIB = 1024 * 1024
FILM = Representation(
    size=48 * MIB,
    etag=EntityTag("9bb58f26192e4ba00f01e2e7b136bbd8"),
    last_modified=1_700_000_000,
    media_type="video/mp4",
)
MOUNTS = tuple(Mount(path, path.strip("/") or "site") for path in ("/", "/media/", "/assets/"))
RULES = tuple(
    Rule(compile_glob(pattern), cache_control="public, max-age=3600")
    for pattern in ("/media/uploads/**", "/assets/**", "/media/**", "/app/**", "/**")
)
PLAIN = {"host": "media.example", "accept": "*/*", "user-agent": "Mozilla/5.0"}


def test_range_parse(benchmark: BenchmarkFixture) -> None:
    found = benchmark(parse_ranges, "bytes=1048576-2097151")
    assert found is not None
    assert len(found) == 1


def test_range_parse_eight(benchmark: BenchmarkFixture) -> None:
    text = "bytes=" + ", ".join(f"{n}000-{n}999" for n in range(8))
    found = benchmark(parse_ranges, text)
    assert found is not None
    assert len(found) == 8


def test_plan_whole(benchmark: BenchmarkFixture) -> None:
    plan = benchmark(make_plan, "GET", PLAIN, FILM, Policy())
    assert (plan.status, plan.length) == (200, FILM.size)


def test_plan_range(benchmark: BenchmarkFixture) -> None:
    fields = PLAIN | {"range": "bytes=1048576-2097151"}
    plan = benchmark(make_plan, "GET", fields, FILM, Policy())
    assert (plan.status, plan.length) == (206, MIB)


def test_plan_eight_ranges(benchmark: BenchmarkFixture) -> None:
    fields = PLAIN | {"range": "bytes=" + ", ".join(f"{n}000-{n}999" for n in range(8))}
    assert benchmark(make_plan, "GET", fields, FILM, Policy()).status == 206


def test_plan_not_modified(benchmark: BenchmarkFixture) -> None:
    fields = PLAIN | {"if-none-match": '"9bb58f26192e4ba00f01e2e7b136bbd8"'}
    assert benchmark(make_plan, "GET", fields, FILM, Policy()).status == 304


def test_key_mapping(benchmark: BenchmarkFixture) -> None:
    def key() -> str:
        path = path_of_target(b"/media/films/2024/the%20long%20one.mp4")
        mount = find_mount(path, MOUNTS)
        assert mount is not None
        return key_below(path, mount.path)

    assert benchmark(key) == "films/2024/the long one.mp4"


def test_rules_of_a_path(benchmark: BenchmarkFixture) -> None:
    treatment = benchmark(treatment_of, "/media/films/2024/long.mp4", RULES)
    assert treatment.cache_control == "public, max-age=3600"


def test_planned_answer(benchmark: BenchmarkFixture) -> None:
    """All pure work between the target that came in and the fields that go out."""
    fields = PLAIN | {"range": "bytes=1048576-2097151"}

    def prepare() -> int:
        path = path_of_target(b"/media/films/2024/long.mp4")
        mount = find_mount(path, MOUNTS)
        assert mount is not None
        key_below(path, mount.path)
        treatment = treatment_of(path, RULES)
        policy = Policy(cache_control=treatment.cache_control, name="long.mp4")
        return make_plan("GET", fields, FILM, policy).status

    assert benchmark(prepare) == 206


class Always:
    """A lease that holds."""

    def holds(self) -> bool:
        return True


def test_prepared_answer(benchmark: BenchmarkFixture) -> None:
    """All work between a small request that is hot and the bytes that go out."""
    answers = PreparedAnswers(1 << 20, 8192, 60.0, DigestMemory())
    recipe = Recipe("poster.jpg", replace(FILM, size=1024), Policy())
    answers.keep(Made(b"/media/poster.jpg", recipe, Always(), "media", bytes(1024), None))
    fields = [(name.encode(), value.encode()) for name, value in PLAIN.items()]

    def answer() -> bytes:
        prepared = answers.find(b"GET", b"/media/poster.jpg", fields)
        assert prepared is not None
        return write_prepared(prepared, new_request_id())[0]

    assert benchmark(answer).endswith(bytes(1024))


def test_etag_parse(benchmark: BenchmarkFixture) -> None:
    assert benchmark(parse_etag, '"9bb58f26192e4ba00f01e2e7b136bbd8"') == FILM.etag


def test_signed_request_to_s3(benchmark: BenchmarkFixture) -> None:
    signer, keys = Signer("eu-central-1"), Keys("AKEXAMPLE", "secret")
    headers = {"host": "store.example", "range": "bytes=0-8388607"}

    def sign() -> dict[str, str]:
        target = "/media/" + encode_key("films/2024/the long one.mp4")
        return signer.sign(keys, "GET", target, headers, 1_700_000_000.0)

    assert any(name.lower() == "authorization" for name in benchmark(sign))


@pytest.mark.parametrize("algorithm", ["crc64nvme", "crc32c", "crc32", "sha1", "sha256", "md5"])
def test_checksum_of_a_mebibyte(benchmark: BenchmarkFixture, algorithm: str) -> None:
    body = bytes(MIB)
    assert len(benchmark(digest_of, algorithm, body)) in {4, 8, 16, 20, 32}
