"""Settings come from flags, then the environment, then defaults; a wrong one is one sentence."""

from dataclasses import fields

import pytest

from streams.errors import SettingsError
from streams.settings import Settings


def test_the_defaults_are_valid_and_need_no_environment():
    assert Settings.from_env(environ={}) == Settings()


def test_a_flag_wins_over_the_environment_and_that_over_the_default():
    environ = {"DCH_PARTITIONS": "7", "DCH_PREFIX": "t1-"}
    settings = Settings.from_env({"partitions": 3, "prefix": None}, environ=environ)
    assert (settings.partitions, settings.prefix, settings.bits) == (3, "t1-", 64)


def test_every_setting_says_what_it_means():
    for field in fields(Settings):
        assert len(field.metadata["meaning"]) > 10, field.name


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"DCH_PARTITIONS": "0"},
            "partitions must be 1 to 10000, got 0; set it by --partitions or DCH_PARTITIONS",
        ),
        ({"DCH_PARTITIONS": "four"}, "partitions must be a whole number, got 'four'"),
        ({"DCH_LINGER_MS": "x"}, "linger_ms must be a number, got 'x'"),
        ({"DCH_LINGER_MS": "nan"}, "linger_ms must be 0 to 10000, got nan"),
        ({"DCH_NEW_ITEM_SHARE": "20"}, "new_item_share must be 0 to 1, got 20.0; set it by --new-item-share"),
        ({"DCH_BITS": "60"}, "bits must be a multiple of 8, got 60"),
        ({"DCH_OBJECTIVE": "both"}, "objective must be one of ranking, rating, got 'both'"),
        ({"DCH_BOOTSTRAP_SERVERS": " "}, "bootstrap_servers must be host:port, got ' '"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(environ, sentence):
    with pytest.raises(SettingsError) as raised:
        Settings.from_env(environ=environ)
    assert str(raised.value).startswith(sentence)


def test_an_unknown_flag_is_refused():
    with pytest.raises(SettingsError, match="there is no setting --colour"):
        Settings.from_env({"colour": "red"}, environ={})


def test_librdkafka_settings_pass_through_and_stay_out_of_the_repr():
    environ = {"DCH_KAFKA_SECURITY_PROTOCOL": "SSL", "DCH_KAFKA_SASL_PASSWORD": "secret"}
    settings = Settings.from_env({"kafka": ["security.protocol=SASL_SSL", "a.b=c=d"]}, environ=environ)
    assert settings.kafka == {"security.protocol": "SASL_SSL", "sasl.password": "secret", "a.b": "c=d"}
    assert "secret" not in repr(settings)


def test_a_librdkafka_setting_without_a_value_is_refused():
    with pytest.raises(SettingsError, match="kafka must be key=value, got 'ssl'"):
        Settings.from_env({"kafka": ["ssl"]}, environ={})


def test_topics_groups_and_reply_topics_carry_the_prefix():
    settings = Settings.from_env({"prefix": "t1-", "reply_prefixes": "recommendations, answers."}, environ={})
    assert settings.topic("ratings") == "t1-ratings"
    assert settings.group_of("worker") == "t1-worker"
    assert settings.may_reply_to("t1-recommendations")
    assert settings.may_reply_to("t1-answers.shop")
    assert not settings.may_reply_to("recommendations")
    assert not settings.may_reply_to("t1-ratings")
