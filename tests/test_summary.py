"""Tables that the command line ends with."""

from featrix_core.summary import comparison_table


def test_the_accuracy_of_what_is_answered_is_told_where_it_differs() -> None:
    ours = {"roc_auc": 0.8, "accuracy": 0.765, "accuracy_at_threshold": 0.725}
    assert "0.7250" in str(comparison_table("class", ours, {}).caption)
    assert comparison_table("class", ours | {"accuracy_at_threshold": 0.765}, {}).caption is None
    assert comparison_table("price", {"r2": 0.5}, {}).caption is None
