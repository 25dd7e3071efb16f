from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.identity import TENANT, SessionKey

keys = st.builds(SessionKey, st.from_regex(TENANT, fullmatch=True), st.text(min_size=1))


@given(keys)
def test_a_session_key_reads_back_from_its_text(key: SessionKey) -> None:
    assert str(key) == f"{key.tenant_id}/{key.session_id}"
    assert SessionKey.parse(str(key)) == key


def test_a_text_without_a_slash_names_a_session_of_the_default_tenant() -> None:
    assert SessionKey.parse("keynote") == ("default", "keynote")
    assert SessionKey.parse("acme/keynote/2") == ("acme", "keynote/2")


@given(keys, keys)
def test_a_session_key_is_equal_to_the_plain_tuple_and_sorts_like_it(
    one: SessionKey, other: SessionKey
) -> None:
    plain, other_plain = (*one,), (*other,)
    assert (one == plain, hash(one), one < other) == (True, hash(plain), plain < other_plain)
