"""What a user is told."""

from featrix_core.errors import FeatrixUserError


def test_a_column_is_named_once() -> None:
    apart = str(FeatrixUserError("Cells are no numbers", column="age", value="x", remedy="Mend it"))
    assert apart == "Cells are no numbers (column 'age') (value 'x'). Mend it."
    within = str(FeatrixUserError("The table has no column 'clas'", column="clas"))
    assert within == "The table has no column 'clas'."
