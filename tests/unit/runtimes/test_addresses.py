# SPDX-License-Identifier: Apache-2.0
"""Which half of a network's addresses is whose."""

from ipaddress import ip_network

from fleetflow_tasks.runtimes.docker.addresses import cut, free


def test_the_lower_half_is_the_engines_and_the_upper_half_ours() -> None:
    assert cut("192.168.48.0/20") == ("192.168.48.0/21", "192.168.56.0/21")
    assert cut("172.18.0.0/16") == ("172.18.0.0/17", "172.18.128.0/17")
    assert cut("10.0.0.0/27") == ("10.0.0.0/28", "10.0.0.16/28")


def test_what_is_too_small_or_unknown_is_not_cut() -> None:
    assert cut("10.0.0.0/28") is None
    assert cut("") is None


def test_an_address_is_chosen_that_nobody_has() -> None:
    everyone = {str(address) for address in ip_network("10.0.0.16/28")}

    assert free("10.0.0.16/28", everyone - {"10.0.0.20"}) == "10.0.0.20"


def test_where_none_is_left_the_engine_chooses() -> None:
    everyone = {str(address) for address in ip_network("10.0.0.16/28")}

    assert free("10.0.0.16/28", everyone) == ""
    assert free("", ()) == ""


def test_nobody_is_given_the_address_that_means_all() -> None:
    everyone = {str(address) for address in ip_network("10.0.0.16/28")}

    assert free("10.0.0.16/28", everyone - {"10.0.0.31"}) == ""
