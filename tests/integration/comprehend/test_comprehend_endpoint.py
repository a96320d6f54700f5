"""The local Comprehend as its callers see it: a process, asked through boto3."""

import os
import signal
import subprocess
import sys

import boto3
import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def comprehend():
    process = subprocess.Popen(
        [sys.executable, "-m", "datamaster.laptop.comprehend", "--port", "0"], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    url = process.stdout.readline().split()[-1]
    yield boto3.client("comprehend", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_entities_come_with_type_score_and_character_offsets(comprehend):
    answer = comprehend.detect_pii_entities(Text="São: ana@example.com", LanguageCode="es")
    assert answer["Entities"] == [{"Type": "EMAIL", "Score": 1.0, "BeginOffset": 5, "EndOffset": 20}]


def test_labels_name_each_type_once(comprehend):
    labels = comprehend.contains_pii_entities(Text="ana@example.com bob@example.com 10.0.0.1", LanguageCode="en")["Labels"]
    assert sorted(label["Name"] for label in labels) == ["EMAIL", "IP_ADDRESS"]


@pytest.mark.parametrize(
    ("text", "language", "error"),
    [
        ("x", "pt", "UnsupportedLanguageException"),
        ("x", "xx", "InvalidRequestException"),
        ("ã" * 51_201, "en", "TextSizeLimitExceededException"),
    ],
)
def test_what_comprehend_does_not_take_is_its_own_error(comprehend, text, language, error):
    with pytest.raises(ClientError) as caught:
        comprehend.detect_pii_entities(Text=text, LanguageCode=language)
    assert caught.value.response["Error"]["Code"] == error
    assert isinstance(caught.value, getattr(comprehend.exceptions, error))


def test_a_text_of_the_largest_size_is_taken(comprehend):
    assert comprehend.detect_pii_entities(Text="ã" * 51_200, LanguageCode="en")["Entities"] == []
