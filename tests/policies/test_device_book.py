"""Who may load on a device, who waits for whom, and who is told when there is room."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from policies.device_reservations import TRY_AGAIN_S, DeviceMemory, DeviceReservations, Holder, LoadRefusal

CARD, OTHER = "cuda:0", "cuda:1"
XTTS, F5, POCKET = ("xtts", 0), ("f5tts", 0), ("pocket", 0)


def card(free_gb: float = 8.0, device: str = CARD) -> DeviceMemory:
    return DeviceMemory(device, free_gb, 8.0)


def held() -> DeviceReservations:
    """One whose card of 8 GB has 0.9 left."""
    book = DeviceReservations()
    assert book.book_memory(XTTS, 5.1, card()) is None
    assert book.book_memory(F5, 2.0, card()) is None
    return book


def test_who_does_not_fit_is_told_who_holds_the_memory() -> None:
    refusal = held().book_memory(POCKET, 3.2, card())
    assert refusal == LoadRefusal("waits for 3.2 GB of cuda:0: xtts holds 5.1, f5tts 2.0 of 8.0 GB")


def test_a_late_peak_of_a_process_that_has_ended_changes_nothing() -> None:
    book = held()
    book.release(F5)
    book.note_peak(F5, 2.0)
    assert book.book_memory(POCKET, 2.9, card()) is None


def test_the_processes_of_an_engine_are_added_up() -> None:
    book = DeviceReservations()
    for process in range(2):
        assert book.book_memory(("xtts", process), 3.0, card()) is None
    refusal = book.book_memory(F5, 2.5, card())
    assert refusal is not None
    assert refusal.reason == "waits for 2.5 GB of cuda:0: xtts holds 6.0 of 8.0 GB"


def test_all_that_is_left_may_be_booked() -> None:
    assert held().book_memory(POCKET, 0.9, card()) is None


def test_what_was_promised_and_not_yet_taken_is_not_free() -> None:
    assert held().book_memory(POCKET, 0.9, card(free_gb=7.9)) == LoadRefusal(
        "waits for 0.9 GB of cuda:0, which has 7.9 of 8.0 GB free; xtts holds 5.1, f5tts 2.0 of 8.0 GB",
        again_s=TRY_AGAIN_S,
    )


def test_nobody_waits_for_more_than_the_device_has() -> None:
    reason = "memory_gb: the engine needs 8.5 GB, and cuda:0 has 8.0 of 8.0 GB free"
    assert held().book_memory(POCKET, 8.5, card()) == LoadRefusal(reason, is_lasting=True)


def test_strangers_memory_has_no_names() -> None:
    refusal = DeviceReservations().book_memory(XTTS, 5.0, card(free_gb=1.0))
    assert refusal == LoadRefusal(
        "waits for 5.0 GB of cuda:0, which has 1.0 of 8.0 GB free", again_s=TRY_AGAIN_S
    )


def test_what_is_measured_is_not_missed_twice() -> None:
    book = held()
    book.note_peak(XTTS, 5.0)  # so 5 of those 5.1 GB are no longer free
    assert book.book_memory(POCKET, 0.9, card(free_gb=3.0)) is None


def test_who_takes_more_than_it_said_has_more_booked() -> None:
    book = held()
    book.note_peak(XTTS, 5.9)
    refusal = book.book_memory(POCKET, 0.9, card(free_gb=2.0))
    assert refusal is not None
    assert "xtts holds 5.9" in refusal.reason


def test_another_device_has_memory_of_its_own() -> None:
    assert held().book_memory(POCKET, 8.0, card(device=OTHER)) is None


def test_the_first_who_fits_is_told_and_has_the_room_from_then_on() -> None:
    book = held()
    for holder, needs_gb in ((("large", 0), 6.5), (POCKET, 4.0), (("late", 0), 4.5)):
        assert book.book_memory(holder, needs_gb, card()) is not None
    assert book.book_waiting() == []
    book.release(XTTS)
    assert book.book_waiting() == [POCKET]  # the large one needs more, and the late one came later
    assert book.book_memory(("new", 0), 4.0, card()) is not None
    assert book.book_memory(POCKET, 4.0, card()) is None
    book.release(F5)
    book.release(POCKET)
    assert book.book_waiting() == [("large", 0)]


def test_one_that_ends_while_it_waits_is_told_nothing() -> None:
    book = held()
    assert book.book_memory(POCKET, 3.2, card()) is not None
    book.release(POCKET)
    book.release(XTTS)
    assert book.book_waiting() == []


@settings(max_examples=min(100, settings().max_examples), stateful_step_count=30, deadline=None)
class Book(RuleBasedStateMachine):
    """Processes that ask, grow and end, on two cards of 8 GB that nobody else uses."""

    living = Bundle("living")

    def __init__(self) -> None:
        super().__init__()
        self.book = DeviceReservations()
        self.loaded: dict[Holder, DeviceMemory] = {}
        self.needs: dict[Holder, tuple[float, DeviceMemory]] = {}
        self.waiting: list[Holder] = []
        self.count = 0

    @rule(target=living, needs_gb=st.integers(1, 9), device=st.sampled_from([CARD, OTHER]))
    def come(self, needs_gb: int, device: str) -> Holder:
        self.count += 1
        holder = (f"engine{self.count % 3}", self.count)
        self.needs[holder] = (float(needs_gb), card(device=device))
        self.ask(holder)
        return holder

    @rule(holder=consumes(living))
    def end(self, holder: Holder) -> None:
        self.book.release(holder)
        self.loaded.pop(holder, None)
        self.waiting = [each for each in self.waiting if each != holder]
        del self.needs[holder]
        for turn in self.book.book_waiting():
            assert turn in self.waiting
            self.waiting.remove(turn)
            self.ask(turn)
            assert turn in self.loaded  # the room was kept for it

    def ask(self, holder: Holder) -> None:
        needs_gb, memory = self.needs[holder]
        refusal = self.book.book_memory(holder, needs_gb, memory)
        if refusal is None:
            self.loaded[holder] = memory
        elif not refusal.is_lasting:
            self.waiting.append(holder)

    def booked_gb(self, device: str) -> float:
        return sum(self.needs[holder][0] for holder, found in self.loaded.items() if found.device == device)

    @invariant()
    def no_device_is_booked_twice(self) -> None:
        assert all(self.booked_gb(device) <= 8.0 for device in (CARD, OTHER))

    @invariant()
    def nobody_waits_while_there_is_room(self) -> None:
        for holder in self.waiting:
            needs_gb, memory = self.needs[holder]
            assert self.booked_gb(memory.device) + needs_gb > 8.0

    @invariant()
    def no_booking_outlives_its_process(self) -> None:
        assert set(self.book._booked) == set(self.loaded)
        assert set(self.book._waiting) == set(self.waiting)


TestBook = Book.TestCase
