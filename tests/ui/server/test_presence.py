"""Who is here now, and when somebody was here before."""

from __future__ import annotations

from clarify.ui.server.presence import Presence


def test_who_clicked_in_the_last_minutes_is_here_and_who_was_long_away_comes_anew() -> None:
    now = 1000.0
    presence = Presence(lambda: now)
    assert presence.saw("Ada") == (1000.0, None)
    now = 1200.0
    assert presence.saw("Grace") == (1200.0, None)
    assert presence.saw("Ada") == (1000.0, None)  # the same visit
    assert presence.here() == ["Ada", "Grace"]
    now = 1501.0
    assert presence.saw("Grace") == (1200.0, None)
    assert presence.here() == ["Grace"]  # Ada's last click was 301 seconds ago
    now = 1200.0 + 3601
    assert presence.saw("Ada") == (4801.0, 1200.0)
