"""What the local Comprehend finds: only Comprehend's own types, by character, and nothing in names of beers."""

import boto3
import pytest

from datamaster.laptop.comprehend.entities import RECOGNIZERS, detect


def test_only_comprehends_entity_types_are_answered():
    model = boto3.client("comprehend", region_name="us-east-1").meta.service_model
    assert {kind for kind, _ in RECOGNIZERS} <= set(model.shape_for("PiiEntityType").enum)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("write to ana.lima+beer@mail.example.com today", "EMAIL", "ana.lima+beer@mail.example.com"),
        ("josé@cervejaria.example", "EMAIL", "josé@cervejaria.example"),
        ("call 415-555-2671 now", "PHONE", "415-555-2671"),
        ("ssn 219-09-9999", "SSN", "219-09-9999"),
        ("card 4111 1111 1111 1111", "CREDIT_DEBIT_NUMBER", "4111 1111 1111 1111"),
        ("GB82WEST12345698765432", "INTERNATIONAL_BANK_ACCOUNT_NUMBER", "GB82WEST12345698765432"),
        ("account 123456789012", "BANK_ACCOUNT_NUMBER", "123456789012"),
        ("routing 122105155", "BANK_ROUTING", "122105155"),
        ("passport 912345678", "PASSPORT_NUMBER", "912345678"),
        ("nino AB123456C", "UK_NATIONAL_INSURANCE_NUMBER", "AB123456C"),
        ("from 192.168.0.17", "IP_ADDRESS", "192.168.0.17"),
        ("00:1B:44:11:3A:B7", "MAC_ADDRESS", "00:1B:44:11:3A:B7"),
        ("see https://example.com/a", "URL", "https://example.com/a"),
        ("AKIAIOSFODNN7EXAMPLE", "AWS_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE"),
        ("pin 4711", "PIN", "4711"),
    ],
)
def test_a_value_is_found_with_its_type_and_place(text, kind, value):
    assert [(entity.type, text[entity.begin : entity.end]) for entity in detect(text)] == [(kind, value)]
    assert 0.5 <= detect(text)[0].score <= 1


@pytest.mark.parametrize(
    "text",
    ["", " \n ", "Founder's Curmudgeon 2010", "Saison Dupont 6.5 %", "São Paulo", "912345678", "4711", "№ 5 Porter", "f3a9c1d0e5b74c2a"],
)
def test_names_and_bare_numbers_are_nobodys(text):
    assert detect(text) == []


def test_offsets_count_characters_across_lines():
    text = "Größe\n🍺 ana@example.com\n\nbob@example.org"
    assert [text[entity.begin : entity.end] for entity in detect(text)] == ["ana@example.com", "bob@example.org"]


def test_a_line_lends_the_next_neither_digits_nor_context():
    assert detect("pin\n4711\n4111 1111\n1111 1111") == []


def test_where_finds_overlap_one_stays():
    assert [entity.type for entity in detect("ana@example.com")] == ["EMAIL"]


def test_mail_addresses_are_found_without_asking_the_network(monkeypatch):
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *address, **_options: asked.append(address) or [])

    found = detect("\n".join(f"person.{n}@example.com" for n in range(200)))

    assert len(found) == 200
    assert asked == []
