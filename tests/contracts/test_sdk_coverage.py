"""Which providers are compared with their vendor's own library, and why the others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.contracts import test_sdk_differences, test_sdk_recorded, test_sdk_signatures
from tests.contracts.libraries import CASES
from tests.contracts.test_sdk_requests import CAPTURED
from tests.providers.test_registry import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_COMPARED: Final[Mapping[str, str]] = {
    "aoksend": "the package index has no library of the vendor's",
    "graph": "msgraph-sdk is generated from Graph's metadata, against which test_graph_json holds our requests",
    "jmap": "a standard, without a vendor",
    "postal": "the package index has no library of the project's",
    "sendcloud": "the package index has no library of the vendor's",
}
_TESTS: Final = {
    "alibaba": test_sdk_signatures.test_alibabas_request_is_the_librarys,
    "gmail": test_sdk_recorded.test_gmail,
    "mailgun": test_sdk_differences.test_mailgun,
    "mandrill": test_sdk_differences.test_mandrill,
    "scaleway": test_sdk_recorded.test_scaleway,
    "sparkpost": test_sdk_differences.test_sparkpost,
    "tencent": test_sdk_signatures.test_tencents_request_is_the_librarys,
}


def test_every_provider_is_compared_or_has_a_reason() -> None:
    """A new provider is in one of the comparisons, or says here why it is in none."""
    live = {case.transport.name for case in CASES.values()}
    compared = {*CAPTURED, *live, *_TESTS}
    names = {each.name for each in PROVIDERS}
    assert names <= compared | set(_NOT_COMPARED)
    assert not compared & set(_NOT_COMPARED)
    assert compared <= names
