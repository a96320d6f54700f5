"""CPF and CNPJ are recognised by their check digits, wherever they stand in a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.privacy.identifiers import identifiers_in, is_cnpj, is_cpf


@pytest.mark.parametrize("text", ["529.982.247-25", "52998224725", "111.444.777-35"])
def test_a_cpf_with_right_check_digits_is_one(text: str) -> None:
    assert is_cpf(text)


@pytest.mark.parametrize("text", ["529.982.247-24", "529.982.247-52", "111.111.111-11", "5299822472", "529982247255", "texto"])
def test_wrong_digits_repeated_digits_and_other_lengths_are_no_cpf(text: str) -> None:
    assert not is_cpf(text)


@pytest.mark.parametrize("text", ["11.222.333/0001-81", "11222333000181", "12.ABC.345/01DE-35"])
def test_a_cnpj_with_right_check_digits_is_one_with_letters_too(text: str) -> None:
    assert is_cnpj(text)


@pytest.mark.parametrize("text", ["11.222.333/0001-82", "12.ABC.345/01DE-53", "00000000000000", "11.222.333/0001"])
def test_other_texts_are_no_cnpj(text: str) -> None:
    assert not is_cnpj(text)


@given(st.text(alphabet=st.characters(blacklist_categories=["Nd", "L"], blacklist_characters="-."), max_size=20))
def test_a_number_is_found_inside_a_sentence(around: str) -> None:
    assert identifiers_in(f"{around} 529.982.247-25 {around} 11.222.333/0001-81 {around}") == {"CPF", "CNPJ"}


def test_digits_inside_a_longer_number_are_not_taken_for_one() -> None:
    assert identifiers_in("order 9952998224725 of 2024") == frozenset()


@given(st.integers(0, 10**11 - 1))
def test_one_cpf_in_a_hundred_numbers_is_right_so_no_digit_is_ignored(number: int) -> None:
    text = f"{number:011d}"
    changed = text[:-1] + str((int(text[-1]) + 1) % 10)

    assert not (is_cpf(text) and is_cpf(changed))
