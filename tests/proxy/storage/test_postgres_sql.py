"""`:name` becomes `$1` wherever it is a parameter, and nowhere else."""

from proxy.storage.postgres_calls import number_parameters
from tests.tables import each_row


@each_row(
    ("sql", "translated", "names"),
    [
        ("SELECT 1", "SELECT 1", ()),
        ("a = :a AND b = :b_2", "a = $1 AND b = $2", ("a", "b_2")),
        ("id = :x OR name = :x OR plan = :y", "id = $1 OR name = $1 OR plan = $2", ("x", "y")),
        ("VALUES (:a,:b)", "VALUES ($1,$2)", ("a", "b")),
        ("now()::bigint + :a::int", "now()::bigint + $1::int", ("a",)),
        ("':a' || :b || 'it''s :c'", "':a' || $1 || 'it''s :c'", ("b",)),
        ('":a" = :b', '":a" = $1', ("b",)),
        ("1 -- of :a\n+ :b", "1 -- of :a\n+ $1", ("b",)),
        ("1 /* :a\n:b */ + :c", "1 /* :a\n:b */ + $1", ("c",)),
        ("$$ :a $$ || $q$ :b $$ $q$ || :c", "$$ :a $$ || $q$ :b $$ $q$ || $1", ("c",)),
        ("'12:30' || :a", "'12:30' || $1", ("a",)),
    ],
)
def test_parameters_are_numbered_in_the_order_they_come(
    sql: str, translated: str, names: tuple[str, ...]
) -> None:
    assert number_parameters(sql) == (translated, names)


def test_each_text_is_translated_once() -> None:
    assert number_parameters("SELECT :once") is number_parameters("SELECT :once")
