"""Where work is done, from one line of text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellda.cluster.place import Here, Processes, Scheduler, Slurm, place_of
from cellda.errors import ConfigurationError


def test_the_forms_that_are_known():
    assert place_of("local") == Here()
    assert place_of("processes:3") == Processes(3)
    assert place_of("tcp://lab-pc.local:8786") == Scheduler("tcp://lab-pc.local:8786")
    assert place_of("tls://10.0.0.1:8786") == Scheduler("tls://10.0.0.1:8786")
    told = {"cores": 4, "memory": "16GB", "walltime": "04:00:00", "queue": "gpu"}
    text = "slurm:jobs=8," + ",".join(f"{name}={value}" for name, value in told.items())
    assert place_of(text) == Slurm(8, told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "say 'local'"),
        ("processes", "processes:4"),
        ("processes:0", "processes:4"),
        ("processes:two", "processes:4"),
        ("tcp://host", "tcp://host:8786"),
        ("http://host:8786", "tcp://host:8786"),
        ("slurm:jobs=2", "cores, memory must be given"),
        ("slurm:jobs=two,cores=1,memory=1GB", "whole number, not 'two'"),
        ("slurm:jobs=2,nodes=3", "'nodes=3' is no option"),
    ],
)
def test_others_are_refused_with_what_would_be_right(text: str, said: str):
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        place_of(text)


@given(st.text(max_size=30))
def test_any_text_is_a_place_or_refused(text: str):
    try:
        place_of(text)
    except ConfigurationError as error:
        assert str(error)  # noqa: PT017
