"""Addresses of pictures, to the second, by a clock that is set by hand."""

from __future__ import annotations

import pytest

from clarify.ui.server.pictures import PictureAddresses
from clarify.ui.server.visitors import NameTags

DAY = 86_400


class Clock:
    """Seconds since 1970, as they are set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def addresses(clock: Clock) -> PictureAddresses:
    return PictureAddresses("secret", clock)


def query_of(address: str) -> str:
    return address.partition("?")[2]


@pytest.mark.parametrize("made", [20_000 * DAY, 20_000 * DAY + 1, 20_001 * DAY - 1])
def test_an_address_is_good_until_the_next_day_ends_and_not_a_second_longer(
    addresses: PictureAddresses, clock: Clock, made: int
) -> None:
    clock.now = made
    query = query_of(addresses.of("birds", 7))
    for at, good in (
        (made, True),
        (20_001 * DAY - 1, True),
        (20_001 * DAY, True),
        (20_002 * DAY - 1, True),
        (20_002 * DAY, False),
        (20_003 * DAY - 1, False),
        (20_000 * DAY - 1, False),  # before the day that it was made on
    ):
        clock.now = at
        assert addresses.is_good("birds", 7, "small", query) is good, at


def test_addresses_begin_with_what_a_proxy_puts_before_them() -> None:
    behind = PictureAddresses("secret", Clock(), prefix="/a/team")
    address = behind.of("birds", 7)
    assert address.startswith("/a/team/pictures/birds/7/small?")
    assert PictureAddresses("secret", Clock()).is_good("birds", 7, "small", query_of(address))
    assert NameTags("secret", prefix="/a/team").address("Ada").startswith("/a/team/remember/")


def test_an_address_is_good_for_its_own_picture_alone(addresses: PictureAddresses, clock: Clock) -> None:
    clock.now = 20_000 * DAY
    address = addresses.of("birds", 7, "whole")
    path, _, query = address.partition("?")
    assert path == "/pictures/birds/7/whole"
    assert addresses.is_good("birds", 7, "whole", query)
    for name, row, size in (("birds", 8, "whole"), ("birds", 7, "small"), ("cats", 7, "whole")):
        assert not addresses.is_good(name, row, size, query)
    day, _, signature = query.partition(".")
    for other in (f"{int(day) - 1}.{signature}", f"{day}.", "", ".", f"{day}.{signature}x", f"²{query}"):
        assert not addresses.is_good("birds", 7, "whole", other)
    day = query.partition(".")[0]
    for absurd in ("9" * 5_000, f"+{day}", f" {day}", f"{day}\u0660", ""):
        assert not addresses.is_good("birds", 7, "whole", query.replace(day, absurd, 1))
        assert not addresses.is_good("birds", absurd, "whole", query)
    assert not PictureAddresses("another", clock).is_good("birds", 7, "whole", query)
