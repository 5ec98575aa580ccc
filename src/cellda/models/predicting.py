"""A growing table of predictions, filled."""

from collections.abc import Callable, Sequence

from cellda.models.classifier import CellClassifier
from cellda.models.inputs import Picture
from cellda.models.results import results
from cellda.models.rows import Rows
from cellda.runtime import progress
from cellda.runtime.clock import Clock, duration
from cellda.runtime.work import Stage, Work
from cellda.text import agreeing, counted


def predict_into(
    rows: Rows,
    classifier: CellClassifier,
    pictures: Sequence[Picture],
    bits: int | None,
    say: Callable[[str], None],
) -> None:
    """Add the rows that are still missing.

    Args:
        rows: The table, opened for what these pictures and this model make.
        classifier: The model.
        pictures: All pictures of the table, in order.
        bits: Significant bits that the camera records, of files that are stored with 16.
        say: Called with what a user has to know.
    """
    left, clock, said = pictures[rows.done :], Clock(), False
    if rows.done:
        say(f"Continuing after {rows.done} of {counted(len(pictures), 'image(s)')}.")
    with progress.task(Work(Stage.PREDICT), len(pictures)) as advance:
        advance(rows.done)
        # From all pictures, so that a prediction that is continued frames the rest of them in the same way.
        network, _, news = classifier.network().framed_for(pictures, bits=bits)
        if news:
            say(news)
        blocks = results(network, left, bits=bits)
        done = 0
        while True:
            with clock.stage("predict"):
                block = next(blocks, None)
            if block is None:
                return
            rows.add(block)
            done += len(block)
            advance(len(block))
            if not said and done < len(left):
                seconds = clock.seconds["predict"] / done * (len(left) - done)
                say(
                    f"{done} of {counted(len(left), 'image(s)')} {agreeing(done, '(is|are)')} predicted; the rest takes "
                    f"about {duration(seconds)}."
                )
                said = True
