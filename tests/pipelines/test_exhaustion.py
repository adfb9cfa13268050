"""The choice of seeds to ask again. With 512 seeds, one round lies between the last answer considered and the round to decide."""

from axolotl_synthetic.pipelines.exhaustion import LAG, Exhaustion

SEEDS = LAG
OWN = b"own"


def one_seed(*said: bytes | None, own: bytes | None = OWN) -> Exhaustion:
    """Return rounds that ended with these texts; None for a round that failed."""
    made = Exhaustion(lambda _: own, SEEDS, 1)
    for round, text in enumerate(said):
        made.started("answers", "s", round)
        made.ended("answers", "s", round, text)
    return made


def is_asked(made: Exhaustion, round: int) -> bool | None:
    exhausted = made.decide("answers", "s", round)
    return None if exhausted is None else not exhausted


def test_a_seed_whose_last_three_answers_said_what_its_own_pair_says_is_not_asked_again():
    assert is_asked(one_seed(OWN, OWN), 2) is True
    assert is_asked(one_seed(OWN, OWN, OWN), 3) is False


def test_without_its_pair_in_the_training_file_the_first_of_them_is_new():
    assert is_asked(one_seed(OWN, OWN, OWN, own=None), 3) is True
    assert is_asked(one_seed(OWN, OWN, OWN, OWN, own=None), 4) is False


def test_two_answers_that_take_turns_say_nothing_new_from_the_third_on():
    assert is_asked(one_seed(b"a", b"b", b"a", b"b"), 4) is True
    assert is_asked(one_seed(b"a", b"b", b"a", b"b", b"a"), 5) is False


def test_one_new_answer_in_three_keeps_a_seed_asked():
    assert is_asked(one_seed(OWN, OWN, b"new", OWN, OWN), 5) is True
    assert is_asked(one_seed(OWN, OWN, b"new", OWN, OWN, OWN), 6) is False


def test_a_failed_round_says_nothing_about_a_seed():
    assert is_asked(one_seed(OWN, None, OWN), 3) is True
    assert is_asked(one_seed(None, None, None, None), 4) is True


def test_where_an_answer_under_way_decides_it_is_waited_for_and_else_not():
    made = one_seed(OWN, OWN)
    made.started("answers", "s", 2)
    assert is_asked(made, 3) is None
    made.ended("answers", "s", 2, b"new")
    assert is_asked(made, 3) is True
    # The last of these is new whatever the open round says, unless it says the same.
    other = one_seed(OWN, b"x", b"y")
    other.started("answers", "s", 3)
    assert is_asked(other, 4) is True


def test_an_answer_that_comes_late_counts_as_the_round_that_it_is_of():
    made = Exhaustion(lambda _: None, SEEDS, 1)
    for round in range(5):
        made.started("answers", "s", round)
    for round in range(1, 5):
        made.ended("answers", "s", round, b"same")
    # Rounds 2 to 4 repeat round 1, whatever round 0 says, but the decision still waits for it.
    assert is_asked(made, 5) is None
    made.ended("answers", "s", 0, b"other")
    assert is_asked(made, 5) is False


def test_with_fewer_seeds_more_rounds_lie_between_so_that_a_window_of_calls_is_not_held_up():
    made = Exhaustion(lambda _: OWN, 100, 1)  # 512 / 100 seeds: 6 rounds
    for round in range(8):
        assert is_asked(made, round) is True
        made.started("answers", "s", round)
        if round < 3:
            made.ended("answers", "s", round, OWN)
    # Rounds 3 to 7 are open and do not matter: rounds 0 to 2 decide 8.
    assert is_asked(made, 8) is False


def test_it_is_complete_when_every_seed_of_every_strategy_is_exhausted():
    made = Exhaustion(lambda _: OWN, SEEDS, 1)
    for seed in range(SEEDS):
        for round in range(3):
            made.started("answers", str(seed), round)
            made.ended("answers", str(seed), round, OWN)
        assert not made.complete
        assert made.decide("answers", str(seed), 3) is True
    assert made.complete
