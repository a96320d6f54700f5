"""What Comprehend finds in joined texts is led back to the value it stands in."""

from __future__ import annotations

from typing import Any

from botocore.session import Session
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from lake.privacy.detection import MAX_TEXT_BYTES, Detector


class Comprehend:
    """Finds every ``@`` as an e-mail address; keeps what it was asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def detect_pii_entities(self, Text: str, LanguageCode: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.texts.append(Text)
        places = [place for place, character in enumerate(Text) if character == "@"]
        return {"Entities": [{"Type": "EMAIL", "Score": 0.9, "BeginOffset": place, "EndOffset": place + 1} for place in places]}


@given(st.lists(st.text(alphabet=st.sampled_from(["@", "é", "😀", "a", "\n", " "]), max_size=8), max_size=30))
def test_each_value_is_flagged_where_it_holds_an_entity_and_nowhere_else(values: list[str]) -> None:
    evidence = Detector(Comprehend()).examine(values)

    assert evidence.seen == len(values)
    assert evidence.flagged == sum("@" in value for value in values)


def test_texts_stay_under_the_call_s_limit_and_equal_values_are_sent_once() -> None:
    client = Comprehend()
    values = [f"{n} " + "é" * 900 for n in range(200)] * 2

    evidence = Detector(client).examine(values)

    assert evidence.seen == 400
    assert len(client.texts) > 1
    assert max(len(text.encode()) for text in client.texts) <= MAX_TEXT_BYTES
    assert sum(text.count("\n") + 1 for text in client.texts) == 200


def test_low_scores_and_impersonal_types_are_no_evidence() -> None:
    client = Session().create_client("comprehend", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    entities = [
        {"Type": "DATE_TIME", "Score": 0.99, "BeginOffset": 0, "EndOffset": 4},
        {"Type": "NAME", "Score": 0.3, "BeginOffset": 0, "EndOffset": 4},
    ]
    with Stubber(client) as stub:
        stub.add_response("detect_pii_entities", {"Entities": entities}, {"Text": "2024", "LanguageCode": "en"})

        evidence = Detector(client).examine(["2024"])

    assert (evidence.seen, evidence.flagged) == (1, 0)


def test_tax_numbers_are_evidence_though_comprehend_does_not_know_them() -> None:
    evidence = Detector(Comprehend()).examine(["529.982.247-25", "CNPJ 11.222.333/0001-81", "nothing"])

    assert evidence.flagged == 2
    assert evidence.entities == {"CPF": 1, "CNPJ": 1}
