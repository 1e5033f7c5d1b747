"""Records with header names that are not UTF-8, as clients in other languages write them.

The Python client cannot write them, so this calls the C library inside its wheel.
"""

import ctypes
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka
from confluent_kafka import cimpl

NAME = b"caf\xe9"
"""A name in Latin-1."""

PRODUCER = 0
TOPIC, PARTITION, VALUE, KEY, FLAGS, HEADER = 1, 3, 4, 5, 7, 9
COPY = 2


class Bytes(ctypes.Structure):
    _fields_ = (("data", ctypes.c_char_p), ("size", ctypes.c_size_t))


class Header(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("value", ctypes.c_char_p), ("size", ctypes.c_ssize_t))


class Value(ctypes.Union):
    _fields_ = (
        ("text", ctypes.c_char_p),
        ("number", ctypes.c_int32),
        ("data", Bytes),
        ("header", Header),
        ("pad", ctypes.c_char * 64),
    )


class Argument(ctypes.Structure):
    """One argument of ``rd_kafka_produceva``."""

    _fields_ = (("kind", ctypes.c_int), ("value", Value))


def library():
    """Return the C library that the Python client has loaded."""
    folder = Path(confluent_kafka.__file__).parent
    found = [*folder.parent.glob("confluent_kafka.libs/librdkafka*"), *folder.glob(".dylibs/librdkafka*")]
    lib = ctypes.CDLL(str(found[0] if found else cimpl.__file__))
    lib.rd_kafka_conf_new.restype = lib.rd_kafka_new.restype = ctypes.c_void_p
    lib.rd_kafka_produceva.restype = lib.rd_kafka_error_string.restype = ctypes.c_void_p
    return lib


@contextmanager
def foreign_producer(address):
    """Yield ``send(topic, partition, key, value, names)``: each name is a header. The end waits for all."""
    lib, text = library(), ctypes.create_string_buffer(512)
    config = ctypes.c_void_p(lib.rd_kafka_conf_new())
    lib.rd_kafka_conf_set(config, b"bootstrap.servers", address.encode(), text, len(text))
    client = ctypes.c_void_p(lib.rd_kafka_new(PRODUCER, config, text, ctypes.c_size_t(len(text))))
    assert client, text.value

    def send(topic, partition, key, value, names=(NAME,)):
        arguments = [
            Argument(TOPIC, Value(text=topic.encode())),
            Argument(PARTITION, Value(number=partition)),
            Argument(FLAGS, Value(number=COPY)),
            *(Argument(HEADER, Value(header=Header(name, b"x", 1))) for name in names),
        ]
        for kind, data in ((KEY, key), (VALUE, value)):
            if data is not None:
                arguments.append(Argument(kind, Value(data=Bytes(data, len(data)))))
        count = ctypes.c_size_t(len(arguments))
        error = lib.rd_kafka_produceva(client, (Argument * len(arguments))(*arguments), count)
        assert error is None, "the C library refused a record"

    try:
        yield send
        assert lib.rd_kafka_flush(client, 30_000) == 0
    finally:
        lib.rd_kafka_destroy(client)
