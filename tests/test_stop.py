"""Asked once, the step ends; asked twice, it is stopped now."""

from __future__ import annotations

from bluegreen.stop import Stop


def test_it_is_asked_once_and_urgent_from_the_second_time_on() -> None:
    stop = Stop()
    assert (stop.is_asked, stop.is_urgent) == (False, False)
    stop.ask()
    assert (stop.is_asked, stop.is_urgent) == (True, False)
    stop.ask()
    assert stop.is_urgent


def test_each_listener_hears_each_time_while_it_listens() -> None:
    stop, heard = Stop(), list[str]()
    with stop.heard_by(lambda: heard.append("outer")):
        with stop.heard_by(lambda: heard.append("inner")):
            stop.ask()
        stop.ask()
    stop.ask()
    assert heard == ["outer", "inner", "outer"]
