from rotator.rotation.in_flight import REMEMBERED, InFlightMints


def test_a_process_that_stays_up_forgets_the_oldest_of_many_mints() -> None:
    in_flight = InFlightMints()
    for number in range(REMEMBERED + 1):
        in_flight.begin(f"mint-{number}")
        assert in_flight.register_token(f"mint-{number}", f"token-{number}")
        in_flight.end(f"mint-{number}")
    assert not in_flight.has_ended("mint-0")
    assert in_flight.has_ended("mint-1")
    assert in_flight.register_token("again", "token-0")
    assert not in_flight.register_token("again", "token-2")
    assert in_flight.current() == {"again": "token-0"}
